/** The look: Airflow's own colors, which change with its light and dark mode, and plain ones where it has none. */

export const STYLE = `
.segmind-app { color: var(--chakra-colors-fg, CanvasText); display: grid; gap: 1rem; padding: 1rem; max-width: 72rem;
  font-size: 0.9rem; line-height: 1.5; }
.segmind-app h2 { font-size: 1rem; font-weight: 600; margin: 0; }
.segmind-app p { margin: 0; overflow-wrap: anywhere; }
.segmind-app a { color: var(--chakra-colors-fg, LinkText); text-decoration: underline; }
.segmind-app .segmind-note { background: var(--chakra-colors-bg-subtle, Canvas); padding: 0.75rem 1rem;
  border: 1px solid var(--chakra-colors-border, GrayText); border-radius: 0.4rem; white-space: pre-wrap; }
.segmind-app .segmind-alert { border-left: 0.3rem solid #c53030; }
.segmind-app .segmind-gallery { display: grid; gap: 1rem; list-style: none; margin: 0; padding: 0;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); }
.segmind-app .segmind-gallery.segmind-single { grid-template-columns: minmax(0, 48rem); }
.segmind-app figure { display: grid; gap: 0.4rem; margin: 0; }
.segmind-app video, .segmind-app img { background: var(--chakra-colors-bg-muted, Canvas); border-radius: 0.4rem;
  max-height: 70vh; max-width: 100%; width: 100%; object-fit: contain; }
.segmind-app audio { width: 100%; }
.segmind-app figcaption { overflow-wrap: anywhere; }
.segmind-app pre { background: var(--chakra-colors-bg-subtle, Canvas); border-radius: 0.4rem; max-height: 30rem;
  border: 1px solid var(--chakra-colors-border, GrayText); overflow: auto; padding: 0.75rem; white-space: pre-wrap;
  overflow-wrap: anywhere; }
.segmind-app dl { display: grid; gap: 0.35rem 1rem; grid-template-columns: minmax(9rem, max-content) minmax(0, 1fr); margin: 0; }
.segmind-app dt { color: var(--chakra-colors-fg-muted, CanvasText); }
.segmind-app dd { margin: 0; overflow-wrap: anywhere; }
.segmind-app :is(bdi, code, a) { unicode-bidi: isolate; }
.segmind-app code { font-family: var(--chakra-fonts-mono, monospace); overflow-wrap: anywhere; }
.segmind-app button { background: transparent; border: 1px solid var(--chakra-colors-border-emphasized, currentColor);
  border-radius: 0.3rem; color: inherit; cursor: pointer; font-size: 0.8rem; padding: 0.1rem 0.6rem; }
.segmind-app code + button { margin-left: 0.5rem; }
.segmind-app button:focus-visible, .segmind-app a:focus-visible, .segmind-app pre:focus-visible {
  outline: 2px solid currentColor; outline-offset: 2px; }
.segmind-app.segmind-account { max-width: 100rem; }
.segmind-app h1 { font-size: 1.4rem; font-weight: 600; margin: 0; }
.segmind-app.segmind-account, .segmind-app section { grid-template-columns: minmax(0, 1fr); }
.segmind-app section { display: grid; gap: 0.5rem; }
.segmind-app .segmind-row { align-items: end; display: flex; flex-wrap: wrap; gap: 0.75rem; }
.segmind-app .segmind-field { display: grid; gap: 0.2rem; }
.segmind-app label { font-size: 0.8rem; }
.segmind-app input, .segmind-app select { background: var(--chakra-colors-bg, Canvas); color: inherit; font-size: 0.9rem;
  border: 1px solid var(--chakra-colors-border-emphasized, currentColor); border-radius: 0.3rem; padding: 0.3rem 0.5rem; }
.segmind-app .segmind-row :is(input, select, button) { box-sizing: border-box; font-family: inherit; height: 2.2rem; margin: 0; }
.segmind-app option { background: var(--chakra-colors-bg, Canvas); color: var(--chakra-colors-fg, CanvasText); }
.segmind-app .segmind-row button { font-size: 0.9rem; padding: 0.3rem 1rem; }
.segmind-app .segmind-scrolls { overflow-x: auto; }
.segmind-app table { border-collapse: collapse; width: 100%; }
.segmind-app th, .segmind-app td { border-bottom: 1px solid var(--chakra-colors-border, GrayText); padding: 0.35rem 0.6rem;
  text-align: left; vertical-align: top; }
.segmind-app th { font-weight: 600; white-space: nowrap; }
.segmind-app .segmind-figure { text-align: right; white-space: nowrap; }
.segmind-app .segmind-reason { color: var(--chakra-colors-fg-muted, CanvasText); font-size: 0.8rem; max-width: 22rem;
  overflow-wrap: anywhere; }
.segmind-app .segmind-lost { display: grid; gap: 0.5rem; margin: 0; padding: 0.75rem 1rem 0.75rem 2rem;
  border: 1px solid var(--chakra-colors-border, GrayText); border-left: 0.3rem solid #c53030; border-radius: 0.4rem; }
.segmind-app .segmind-plot { display: grid; gap: 0.5rem; grid-template-columns: max-content minmax(0, 1fr); height: 12rem; }
.segmind-app .segmind-plot svg { border-bottom: 1px solid currentColor; height: 12rem; width: 100%; }
.segmind-app .segmind-scale { display: flex; flex-direction: column; font-size: 0.75rem; justify-content: space-between;
  min-width: 5rem; text-align: right; }
.segmind-app .segmind-days { display: flex; font-size: 0.75rem; margin-left: 5.5rem; }
.segmind-app .segmind-days span { flex: 1 1 0; min-width: 0; text-align: center; white-space: nowrap; }
.segmind-app .segmind-legend { display: flex; flex-wrap: wrap; gap: 0.25rem 1rem; list-style: none; margin: 0.5rem 0; padding: 0; }
.segmind-app .segmind-legend span { border-radius: 0.2rem; display: inline-block; height: 0.8rem; margin-right: 0.4rem; width: 0.8rem; }
.segmind-app summary { cursor: pointer; }
.segmind-app .segmind-unseen { clip-path: inset(50%); height: 1px; overflow: hidden; position: absolute; width: 1px; }
.segmind-app :is(input, select, summary, .segmind-scrolls):focus-visible { outline: 2px solid currentColor; outline-offset: 2px; }
@media (max-width: 40rem) {
  .segmind-app dl { grid-template-columns: minmax(0, 1fr); gap: 0; }
  .segmind-app dd { margin-bottom: 0.5rem; }
}`;
