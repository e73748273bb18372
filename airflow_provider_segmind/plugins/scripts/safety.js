/**
 * What may be opened and what may be loaded. Everything that comes from an XCom is untrusted: whoever may write one,
 * and whatever answered in Segmind's place, decides what is in it.
 */

/** For how long Segmind keeps an output. */
export const RETENTION_MILLISECONDS = 7 * 24 * 3600 * 1000;

const LONGEST_ADDRESS = 8192;
/** USD or seconds: a billion dollars, or thirty years. */
const LARGEST_AMOUNT = 1e9;
const FIRST_MOMENT = Date.UTC(2000, 0, 1);
const LAST_MOMENT = Date.UTC(2100, 0, 1);
const CUT = "…";

/**
 * Return an address as a URL if a reader may open it: https, or http on a loopback address, without a login.
 * Return null for anything else, such as `javascript:`.
 */
export function openable(value) {
  if (typeof value !== "string" || value.length > LONGEST_ADDRESS || value.endsWith(CUT)) return null;
  if (!/^https?:\/\//i.test(value) || /[\s\\\u0000-\u001f\u007f]/.test(value)) return null;
  let url;
  try {
    url = new URL(value);
  } catch {
    return null;
  }
  if (url.username || url.password || !url.hostname) return null;
  return url.protocol === "https:" || (url.protocol === "http:" && isLoopback(url.hostname)) ? url : null;
}

/**
 * Whether the page may load a file without being asked to. A page that loads any address sends a request from the
 * reader's network, perhaps to a host that only this network can reach. Segmind's own hosts are safe; so is the
 * emulator, for a page that comes from the same machine.
 */
export function loadsByItself(url, page = globalThis.location) {
  if (url.protocol === "https:" && (url.hostname === "segmind.com" || url.hostname.endsWith(".segmind.com"))) {
    return true;
  }
  return isLoopback(url.hostname) && isLoopback(page.hostname);
}

/** Return the address of a model's public page; null if this cannot be a model. */
export function modelPage(model) {
  const isSlug = typeof model === "string" && /^[A-Za-z0-9][A-Za-z0-9._-]{0,255}$/.test(model);
  return isSlug ? new URL(`https://www.segmind.com/models/${model}`) : null;
}

/** Return a text of bounded length; null if there is none. */
export function plainText(value, most = 4096) {
  if (typeof value !== "string" || value.trim() === "") return null;
  return value.length > most ? value.slice(0, most) + CUT : value;
}

/** Return a number that is not negative, and that can be right; null if there is none. */
export function amount(value, most = LARGEST_AMOUNT) {
  return typeof value === "number" && value >= 0 && value <= most ? value : null;
}

/** Return a whole number that can be right; null if there is none. */
export function count(value, most = Number.MAX_SAFE_INTEGER) {
  return Number.isSafeInteger(value) ? amount(value, most) : null;
}

/** Return the moment of a time stamp, in milliseconds; null if there is none, or one that cannot be right. */
export function moment(value) {
  const parsed = typeof value === "string" ? Date.parse(value) : NaN;
  return parsed >= FIRST_MOMENT && parsed < LAST_MOMENT ? parsed : null;
}

export function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Whether a host, in the form that URL gives it, stands for the reader's own machine. */
function isLoopback(host) {
  return host === "localhost" || host === "[::1]" || /^127\.\d+\.\d+\.\d+$/.test(host);
}
