const longestShown = 256;

/** A client's text for the log: cut, and without anything that looks like a key, a certificate or a token. */
export function shown(text: string): string {
  return text
    .slice(0, 4 * longestShown)
    .replace(/-----BEGIN[\s\S]*/, "[PEM left out]")
    .replace(/eyJ[\w.-]*/g, "[token left out]")
    .slice(0, longestShown);
}
