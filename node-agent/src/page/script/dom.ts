import type { Mood } from "./judgement.ts";

/** @throws TypeError when the document has no such element, which is a fault of the page itself */
export function byId<Kind extends HTMLElement>(id: string, kind: new () => Kind): Kind {
  return expect(document.getElementById(id), kind, `#${id}`);
}

export function within<Kind extends HTMLElement>(parent: Element, selector: string, kind: new () => Kind): Kind {
  return expect(parent.querySelector(selector), kind, selector);
}

function expect<Kind extends HTMLElement>(found: Element | null, kind: new () => Kind, what: string): Kind {
  if (found instanceof kind) return found;
  throw new TypeError(`the page has no ${what}`);
}

/** A copy of what the template with this id holds. */
export function fromTemplate<Kind extends HTMLElement>(id: string, kind: new () => Kind): Kind {
  const [first] = byId(id, HTMLTemplateElement).content.children;
  return expect(first === undefined ? null : (first.cloneNode(true) as Element), kind, `copy of #${id}`);
}

/** Sets an element's text, unless it is there already: what does not change costs nothing. */
export function say(element: HTMLElement, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

export function sayIn(id: string, text: string): void {
  say(byId(id, HTMLElement), text);
}

/** Shows a moment as a span of words, and as itself to whoever points at it. */
export function sayTime(element: HTMLTimeElement, moment: string, text: string): void {
  say(element, text);
  if (element.dateTime === moment) return;
  element.dateTime = moment;
  element.title = new Date(moment).toLocaleString();
}

const moods: readonly Mood[] = ["good", "warn", "bad", "quiet"];

export function setMood(element: HTMLElement, mood: Mood): void {
  if (element.classList.contains(mood)) return;
  element.classList.remove(...moods);
  element.classList.add(mood);
}

/**
 * Makes a list show `items`, one child each, by position.
 * @param fill writes an item into its child
 */
export function fillList<Item>(
  id: string,
  template: string,
  items: readonly Item[],
  fill: (child: HTMLElement, item: Item) => void,
): void {
  const list = byId(id, HTMLElement);
  while (list.children.length > items.length) list.lastElementChild?.remove();
  items.forEach((item, at) => {
    const child = list.children[at] ?? list.appendChild(fromTemplate(template, HTMLElement));
    if (child instanceof HTMLElement) fill(child, item);
  });
}
