/** The output itself: one file, or a gallery of several. */

import { OutsideLink } from "./facts.js";
import { loadsByItself, openable } from "./safety.js";

const { createElement: h, useState } = globalThis.React;

const ENDINGS = {
  video: /\.(mp4|m4v|webm|mov|ogv)$/i,
  image: /\.(png|jpe?g|webp|gif|avif|bmp|svg)$/i,
  audio: /\.(mp3|wav|ogg|oga|m4a|flac|aac|opus)$/i,
};
const NAMES = { video: "Video", image: "Image", audio: "Audio" };

/** All files of a request. */
export function Gallery({ files, prompt, expiredAt }) {
  const shown = files.map((file, index) => {
    const place = files.length > 1 ? ` ${index + 1} of ${files.length}` : "";
    return h("li", { key: index }, h(Output, { file, place, prompt, expiredAt }));
  });
  return h("ul", { className: `segmind-gallery${files.length === 1 ? " segmind-single" : ""}` }, shown);
}

/** Return what a file is: `video`, `image` or `audio`; null if neither its type nor its name says so. */
export function kindOf(file, url) {
  const byType = file.contentType?.split("/")[0];
  if (byType && Object.hasOwn(ENDINGS, byType)) return byType;
  const path = url?.pathname ?? "";
  return Object.keys(ENDINGS).find((kind) => ENDINGS[kind].test(path)) ?? null;
}

function Output({ file, place, prompt, expiredAt }) {
  const url = openable(file.url);
  const [isWanted, setWanted] = useState(false);
  const [isBroken, setBroken] = useState(false);
  const kind = kindOf(file, url);
  const name = `${kind ? NAMES[kind] : "File"}${place}`;
  if (!url || expiredAt) return h("figure", null, h("figcaption", null, missing(name, file, url, expiredAt)));
  const caption = h(
    "figcaption",
    null,
    isBroken ? `${name} cannot be loaded here. ` : "",
    h(OutsideLink, { url }, isBroken ? "Try to open it" : `Open ${name.toLowerCase()}`),
    ` at ${url.host}`,
  );
  if (!kind || isBroken) return h("figure", null, caption);
  if (!isWanted && !loadsByItself(url)) {
    const ask = h("button", { type: "button", onClick: () => setWanted(true) }, `Show ${name.toLowerCase()} from ${url.host}`);
    return h("figure", null, h("p", null, ask), caption);
  }
  return h("figure", null, player(kind, url, name, prompt, () => setBroken(true)), caption);
}

function player(kind, url, name, prompt, onError) {
  if (kind === "image") {
    const alt = prompt ? `${name}: ${prompt}` : name;
    return h("img", { src: url.href, alt, onError, loading: "lazy", referrerPolicy: "no-referrer" });
  }
  return h(kind, { src: url.href, controls: true, preload: "metadata", playsInline: true, onError, "aria-label": name });
}

function missing(name, file, url, expiredAt) {
  if (expiredAt) {
    const where = file.storedAt ? `Its copy is at ${file.storedAt}` : "The task stored no copy";
    return `${name}: Segmind deleted it after seven days, on ${expiredAt}. ${where}.`;
  }
  if (file.storedAt) return `${name} is at ${file.storedAt}.`;
  return `${name} has no address that a browser may open.`;
}
