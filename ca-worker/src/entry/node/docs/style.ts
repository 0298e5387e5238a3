/** The style of the page; its hash is in the page's policy. */
export const style = `
:root {
  color-scheme: light dark;
  --ground: light-dark(#f5f7f6, #101413);
  --surface: light-dark(#ffffff, #181d1b);
  --sunk: light-dark(#f2f5f4, #121715);
  --ink: light-dark(#1a211f, #e8edeb);
  --muted: light-dark(#55615d, #9ba8a3);
  --line: light-dark(#e2e7e4, #2b3330);
  --good: light-dark(#146a59, #63cdb3);
  --good-soft: light-dark(#e0f1ec, #16352e);
  --blue: light-dark(#1d4f91, #93c0ff);
  --blue-soft: light-dark(#e3edfa, #172a45);
  --bad: light-dark(#ab231c, #ff9a90);
  --bad-soft: light-dark(#fde7e5, #421d1a);
  --quiet-soft: light-dark(#eceff0, #262d2b);
  --mono: ui-monospace, "SF Mono", "Cascadia Mono", "DejaVu Sans Mono", Menlo, Consolas, monospace;
  font: 15px / 1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif;
  background: var(--ground);
  color: var(--ink);
  scroll-padding-top: 1.25rem;
}
* { box-sizing: border-box; }
body { margin: 0; }
h1, h2, h3, h4, p, ul, dl, dd { margin: 0; padding: 0; }
ul { list-style: none; }
h1 { font-size: 1.9rem; font-weight: 680; letter-spacing: -0.025em; line-height: 1.2; }
h2 { font-size: 1.25rem; font-weight: 660; letter-spacing: -0.015em; }
h3 { font-size: 1.05rem; font-weight: 640; letter-spacing: -0.01em; }
h3 a { color: inherit; }
h4 { margin-top: 1.2rem; font-size: 0.84rem; font-weight: 600; color: var(--muted); }
a { color: var(--good); text-decoration: none; }
a:hover { text-decoration: underline; }
:focus-visible { outline: 2px solid var(--good); outline-offset: 2px; border-radius: 4px; }
code, pre { font-family: var(--mono); font-size: 0.86em; }
p code, td code, dd code, summary code { overflow-wrap: anywhere; }
.muted { color: var(--muted); }
.skip { position: absolute; left: -100vw; }
.skip:focus {
  position: fixed; z-index: 2; left: 1rem; top: 1rem; padding: 0.5rem 1rem; border-radius: 8px;
  background: var(--surface);
}

.frame { display: grid; grid-template-columns: 19.5rem minmax(0, 1fr); max-width: 86rem; margin: 0 auto; }
nav {
  position: sticky; top: 0; align-self: start; max-height: 100vh; overflow-y: auto;
  padding: 2rem 1.25rem 2rem 1.75rem;
}
nav h2 { margin: 1.5rem 0 0.35rem; font-size: 0.8rem; font-weight: 600; letter-spacing: 0; color: var(--muted); }
nav a {
  display: flex; align-items: baseline; gap: 0.6rem; margin: 0 -0.6rem; padding: 0.26rem 0.6rem; border-radius: 8px;
  color: var(--ink); overflow-wrap: anywhere; line-height: 1.35; font-size: 0.92rem;
}
nav a:hover { background: var(--quiet-soft); text-decoration: none; }
.brand { display: flex; align-items: center; gap: 0.6rem; font-size: 1.05rem; font-weight: 650; }
.brand svg { width: 1.9rem; flex: none; }
.brand circle { fill: light-dark(#17705f, #2f8673); }
.brand path { fill: none; stroke: #fff; stroke-width: 3; stroke-linecap: round; stroke-linejoin: round; }

main { padding: 2.25rem clamp(1rem, 3vw, 2.75rem) 6rem; border-inline-start: 1px solid var(--line); min-width: 0; }
header, section { max-width: 56rem; }
header p + p, section > p + p { margin-top: 0.75rem; }
.version {
  margin-inline-start: 0.35rem; font-size: 0.9rem; font-weight: 500; letter-spacing: 0; color: var(--muted);
}
.lead { margin: 0.5rem 0 1rem; font-size: 1.12rem; color: var(--muted); }
section { margin-top: 2.75rem; }
section > h2 + p { margin-top: 0.25rem; color: var(--muted); }

.card {
  margin-top: 1.1rem; padding: 1.25rem 1.4rem; border: 1px solid var(--line); border-radius: 14px;
  background: var(--surface);
}
.card:target { border-color: var(--good); box-shadow: 0 0 0 1px var(--good); }
.card > p { margin-top: 0.5rem; }
.route { display: flex; align-items: center; gap: 0.6rem; }
.route code { font-size: 0.92rem; overflow-wrap: anywhere; }
.method {
  flex: none; min-width: 2.9rem; padding: 0.08rem 0.4rem; border-radius: 6px; font: 600 0.7rem / 1.5 var(--mono);
  text-align: center; text-transform: uppercase;
}
.method.get { background: var(--blue-soft); color: var(--blue); }
.method.post { background: var(--good-soft); color: var(--good); }
.status {
  flex: none; padding: 0.05rem 0.55rem; border-radius: 99px; font: 600 0.8rem / 1.6 var(--mono);
  align-self: flex-start;
}
.status.good { background: var(--good-soft); color: var(--good); }
.status.bad { background: var(--bad-soft); color: var(--bad); }
.status.quiet { background: var(--quiet-soft); color: var(--muted); }

details { margin-top: 0.5rem; }
summary { cursor: pointer; width: fit-content; max-width: 100%; }
.answer { margin: 0.4rem -0.6rem 0; border-radius: 10px; }
.answer summary {
  display: flex; gap: 0.65rem; width: auto; padding: 0.35rem 0.6rem; border-radius: 10px; list-style: none;
}
.answer summary::-webkit-details-marker { display: none; }
.answer summary::after {
  content: ""; flex: none; align-self: center; width: 0.5rem; height: 0.5rem; margin-inline: auto 0.35rem;
  border: solid var(--muted); border-width: 0 1.5px 1.5px 0; transform: rotate(45deg) translate(-2px, -2px);
}
.answer[open] summary::after { transform: rotate(225deg) translate(-2px, -2px); }
.answer summary:hover { background: var(--quiet-soft); }
.answer[open] { padding-bottom: 0.8rem; background: var(--sunk); }
.answer > :not(summary) { margin-inline: 0.6rem; }
dl { display: grid; grid-template-columns: minmax(8rem, auto) 1fr; gap: 0.3rem 1.25rem; margin-top: 0.5rem; }
dd { color: var(--muted); }
pre {
  margin: 0.5rem 0 0; padding: 0.85rem 1rem; max-height: 24rem; overflow: auto; border: 1px solid var(--line);
  border-radius: 10px; background: var(--sunk); line-height: 1.5;
}
.answer pre { background: var(--surface); }
.answer p { margin-top: 0.6rem; }
.scroll { overflow-x: auto; margin-top: 0.75rem; }
table { width: 100%; border-collapse: collapse; font-size: 0.94rem; }
th, td {
  padding: 0.5rem 0.9rem 0.5rem 0; border-bottom: 1px solid var(--line); text-align: start; vertical-align: top;
}
tbody tr:last-child > * { border-bottom: 0; }
thead th { font-size: 0.8rem; font-weight: 600; color: var(--muted); }
tbody th { font-weight: 500; white-space: nowrap; }
td:last-child { min-width: 12rem; }

@media (max-width: 60rem) {
  .frame { display: block; }
  nav { position: static; max-height: none; padding: 1.25rem clamp(1rem, 3vw, 2.75rem); }
  main { border-inline-start: 0; border-block-start: 1px solid var(--line); }
  .card { padding: 1rem; }
  dl { grid-template-columns: 1fr; gap: 0.1rem; }
  dd { margin-bottom: 0.5rem; }
  tbody th { white-space: normal; }
}
@media print {
  nav, .skip { display: none; }
  .frame { display: block; }
  pre { max-height: none; white-space: pre-wrap; overflow-wrap: anywhere; }
}
`;
