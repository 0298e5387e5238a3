import type { Page } from "./chromium.ts";

/** Texts of a page whose contrast is below WCAG's 4.5. */
export function faintTexts(page: Page): Promise<string[]> {
  return page.evaluate<string[]>(`(${findFaintTexts})()`);
}

/** Runs in the page. */
function findFaintTexts(): string[] {
  const context = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", {
    willReadFrequently: true,
  }) as CanvasRenderingContext2D;
  const luminance = (...colors: string[]) => {
    for (const color of colors) {
      context.fillStyle = color;
      context.fillRect(0, 0, 1, 1);
    }
    const [r = 0, g = 0, b = 0] = [...context.getImageData(0, 0, 1, 1).data].map((byte) => {
      const part = byte / 255;
      return part <= 0.040_45 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  return [...document.querySelectorAll<HTMLElement>("body *")].flatMap((element) => {
    const own = [...element.childNodes].filter(({ nodeType }) => nodeType === Node.TEXT_NODE);
    const text = own.map(({ textContent }) => textContent?.trim()).join("");
    if (text === "" || !element.checkVisibility()) return [];
    const behind: string[] = [];
    for (let at: HTMLElement | null = element; at !== null; at = at.parentElement) {
      behind.unshift(getComputedStyle(at).backgroundColor);
    }
    const ground = luminance(...behind);
    const ink = luminance(...behind, getComputedStyle(element).color);
    const contrast = (Math.max(ground, ink) + 0.05) / (Math.min(ground, ink) + 0.05);
    return contrast < 4.5 ? [`${text.slice(0, 40)}: ${contrast.toFixed(2)}`] : [];
  });
}
