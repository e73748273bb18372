/** The figures next to the output. */

import { isObject, modelPage, plainText } from "./safety.js";
import { bytes, duration, money } from "./words.js";

const { createElement: h, useState } = globalThis.React;
const COPIED_MILLISECONDS = 2000;
const MOST_PARAMETERS = 100;
const LONGEST_PARAMETER = 5000;

/** A list of names and values. Rows without a value are left out. */
export function Facts({ title, rows }) {
  const known = rows.filter(([, value]) => value !== null && value !== undefined && value !== "");
  if (known.length === 0) return null;
  return h(
    "section",
    { "aria-label": title },
    h("h2", null, title),
    h(
      "dl",
      null,
      known.flatMap(([name, value], index) => [h("dt", { key: `name-${index}` }, name), h("dd", { key: index }, value)]),
    ),
  );
}

/** Return the rows about a request. */
export function requestRows({ requestId, model, summary }) {
  return [
    ["Request", requestId && h(Copyable, { text: requestId, what: "request id" })],
    ["Model", model && h(OutsideLink, { url: modelPage(model) }, model)],
    ["Cost", summary?.cost != null ? money(summary.cost) : null],
    ["Time in the queue", summary?.queueTime != null ? duration(summary.queueTime) : null],
    ["Time of inference", summary?.inferenceTime != null ? duration(summary.inferenceTime) : null],
    ["Time in all", summary?.totalTime != null ? duration(summary.totalTime) : null],
  ];
}

/** Return the rows about one file. */
export function fileRows(file) {
  return [
    ["Stored at", file.storedAt && h(Copyable, { text: file.storedAt, what: "path" })],
    ["Size", file.size != null ? bytes(file.size) : null],
    ["Type", file.contentType],
    ["SHA-256", file.sha256 && h("code", null, file.sha256)],
  ];
}

/** Return the rows about the parameters: what the task was given, after its templates were rendered. */
export function parameterRows(fields) {
  const isOne = (name) => !ABOUT_THE_TASK.has(name) && name !== "parameters";
  const nested = isObject(fields.parameters) ? fields.parameters : {};
  const own = Object.entries(fields).filter(([name]) => isOne(name));
  const unread = isObject(fields.parameters) ? [] : [["parameters", fields.parameters ?? null]];
  const given = [...own, ...Object.entries(nested), ...unread].filter(([, value]) => value !== null && value !== "" && value !== "None");
  const rows = given.slice(0, MOST_PARAMETERS).map(([name, value]) => [
    plainText(name, 200) ?? '""',
    plainText(typeof value === "string" ? value : JSON.stringify(value), LONGEST_PARAMETER),
  ]);
  return given.length > rows.length ? [...rows, ["…", `and ${given.length - rows.length} more`]] : rows;
}

const ABOUT_THE_TASK = new Set([
  ...["model", "upload", "input_conn_id", "output_path", "output_conn_id", "name_output_after"],
  ...["segmind_conn_id", "expected_duration", "request_id"],
]);

/** A link that tells the other side nothing of Airflow; plain text if there is no address. */
export function OutsideLink({ url, children }) {
  if (!url) return h("span", null, children);
  return h("a", { href: url.href, target: "_blank", rel: "noopener noreferrer", referrerPolicy: "no-referrer" }, children);
}

/** A text with a button that copies it. */
export function Copyable({ text, what }) {
  const [isCopied, setCopied] = useState(false);
  const copy = async () => {
    await copyText(text);
    setCopied(true);
    setTimeout(() => setCopied(false), COPIED_MILLISECONDS);
  };
  return h(
    "span",
    null,
    h("code", null, text),
    h("button", { type: "button", onClick: copy, "aria-label": `Copy the ${what}` }, isCopied ? "Copied" : "Copy"),
    h("span", { role: "status", className: "segmind-unseen" }, isCopied ? `The ${what} is copied` : ""),
  );
}

/** Browsers offer the clipboard over https and on the same machine only; the older way works everywhere. */
async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return;
  } catch {
    // There is none, or the browser does not allow it.
  }
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
}
