/** The look: Airflow's own colors, which change with its light and dark mode, and plain ones where it has none. */

export const STYLE = `
.segmind-tab { color: var(--chakra-colors-fg, CanvasText); display: grid; gap: 1rem; padding: 1rem; max-width: 72rem;
  font-size: 0.9rem; line-height: 1.5; }
.segmind-tab h2 { font-size: 1rem; font-weight: 600; margin: 0; }
.segmind-tab p { margin: 0; overflow-wrap: anywhere; }
.segmind-tab a { color: var(--chakra-colors-fg, LinkText); text-decoration: underline; }
.segmind-tab .segmind-note { background: var(--chakra-colors-bg-subtle, Canvas); padding: 0.75rem 1rem;
  border: 1px solid var(--chakra-colors-border, GrayText); border-radius: 0.4rem; white-space: pre-wrap; }
.segmind-tab .segmind-alert { border-left: 0.3rem solid #c53030; }
.segmind-tab .segmind-gallery { display: grid; gap: 1rem; list-style: none; margin: 0; padding: 0;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 20rem), 1fr)); }
.segmind-tab .segmind-gallery.segmind-single { grid-template-columns: minmax(0, 48rem); }
.segmind-tab figure { display: grid; gap: 0.4rem; margin: 0; }
.segmind-tab video, .segmind-tab img { background: var(--chakra-colors-bg-muted, Canvas); border-radius: 0.4rem;
  max-height: 70vh; max-width: 100%; width: 100%; object-fit: contain; }
.segmind-tab audio { width: 100%; }
.segmind-tab figcaption { overflow-wrap: anywhere; }
.segmind-tab pre { background: var(--chakra-colors-bg-subtle, Canvas); border-radius: 0.4rem; max-height: 30rem;
  border: 1px solid var(--chakra-colors-border, GrayText); overflow: auto; padding: 0.75rem; white-space: pre-wrap;
  overflow-wrap: anywhere; }
.segmind-tab dl { display: grid; gap: 0.35rem 1rem; grid-template-columns: minmax(9rem, max-content) minmax(0, 1fr); margin: 0; }
.segmind-tab dt { color: var(--chakra-colors-fg-muted, CanvasText); }
.segmind-tab dd { margin: 0; overflow-wrap: anywhere; }
.segmind-tab code { font-family: var(--chakra-fonts-mono, monospace); overflow-wrap: anywhere; }
.segmind-tab button { background: transparent; border: 1px solid var(--chakra-colors-border-emphasized, currentColor);
  border-radius: 0.3rem; color: inherit; cursor: pointer; font-size: 0.8rem; padding: 0.1rem 0.6rem; }
.segmind-tab code + button { margin-left: 0.5rem; }
.segmind-tab button:focus-visible, .segmind-tab a:focus-visible, .segmind-tab pre:focus-visible {
  outline: 2px solid currentColor; outline-offset: 2px; }
@media (max-width: 40rem) {
  .segmind-tab dl { grid-template-columns: minmax(0, 1fr); gap: 0; }
  .segmind-tab dd { margin-bottom: 0.5rem; }
}`;
