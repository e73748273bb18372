/** Airflow's API server, asked with the reader's own session and permissions. */

import { isObject, plainText } from "./safety.js";

/** The reader may not see something, or the server did not answer. */
export class NotReadable extends Error {
  constructor(status, detail = null) {
    super(detail ?? "Airflow did not answer.");
    this.status = status;
    this.isRefused = status === 401 || status === 403;
  }
}

/** Return the JSON that Airflow's public API has at a path; null if there is nothing. */
export function get(path, query, signal) {
  return ask(address(`api/v2/${path}`, query), {}, signal);
}

/** Return what Airflow's public API finds for a question that is too long for an address. */
export function search(path, question, signal) {
  const headers = { "Content-Type": "application/json" };
  return ask(address(`api/v2/${path}`, {}), { method: "POST", headers, body: JSON.stringify(question) }, signal);
}

/** Return the address of a path below that of Airflow. */
export function address(path, query = {}) {
  const url = new URL(path, document.baseURI);
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, String(value));
  return url;
}

/** Return the JSON at an address; null if there is nothing, and Airflow itself says so. */
export async function ask(url, options, signal) {
  const headers = { Accept: "application/json", ...options.headers };
  let response;
  try {
    response = await fetch(url, { ...options, headers, credentials: "same-origin", signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new NotReadable(0);
  }
  if (response.status === 404) return null;
  if (!response.ok) throw await refusal(response);
  return await response.json().catch(unlessStopped);
}

/** Return the error of an answer, with the reason that it gives. */
export async function refusal(response) {
  const said = await response.json().catch(unlessStopped);
  return new NotReadable(response.status, isObject(said) ? plainText(said.detail, 2000) : null);
}

/** What is nice to know is left out if it cannot be read. */
export function unlessStopped(error) {
  if (error.name === "AbortError") throw error;
  return null;
}

/** `.` and `..` are not encoded by `encodeURIComponent`, and would lead to another path. */
export function encode(part) {
  return encodeURIComponent(part).replace(/^\.{1,2}$/, (dots) => dots.replaceAll(".", "%2E"));
}
