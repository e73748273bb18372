/**
 * The tab "Segmind" on the page of a task instance: its output, what it cost, and what became of its request.
 */

import { NotReadable } from "./airflow.js";
import { Facts, fileRows, parameterRows, requestRows } from "./facts.js";
import { Gallery } from "./media.js";
import { hasFailed, isWaiting, readTask } from "./reading.js";
import { RETENTION_MILLISECONDS, plainText } from "./safety.js";
import { STYLE } from "./style.js";
import { duration, money, when } from "./words.js";

const { createElement: h, useEffect, useState } = globalThis.React;

const REFRESH_MILLISECONDS = 5000;
const LONGEST_TEXT = 20_000;
const KLING_O1_SECONDS = 144.5;
const OPERATORS = new Set([
  ...["KlingImageToVideoOperator", "SegmindInferenceOperator", "SegmindPixelFlowOperator"],
  "SegmindSyncInferenceOperator",
  ...["SegmindRequestSensor", "@task.segmind"],
]);
/** Errors of a task that has no request: nothing was accepted. */
const NOT_CHARGED = new Set([
  ...["InvalidParameterError", "BadRequestError", "AuthenticationError", "PermissionDeniedError", "RejectedError"],
  ...["ModelNotFoundError", "InsufficientCreditsError", "ModelRetiredError", "InvalidConnectionError"],
  ...["UnreadableInputError", "UnwritableOutputError", "UntrustedCertificateError", "RateLimitedError"],
  "SpendingLimitError",
]);
/** A request that failed at Segmind is not charged. */
const REQUEST_FAILED = new Set(["RequestFailedError", "ContentBlockedError", "RejectedInputError"]);

export function SegmindTab({ dagId, runId, taskId, mapIndex }) {
  const [found, setFound] = useState({});
  useEffect(() => {
    const stopping = new AbortController();
    let timer;
    let before = null;
    const look = async () => {
      let again = true;
      try {
        const task = await readTask({ dagId, runId, taskId, mapIndex }, before, stopping.signal);
        before = task;
        setFound({ task });
        again = isWaiting(task.state) || task.state === "up_for_retry" || task.state === "none";
      } catch (error) {
        if (error.name === "AbortError") return;
        if (!(error instanceof NotReadable)) console.error(error);
        setFound((shown) => ({ ...shown, trouble: error }));
        again = !error.isRefused;
      }
      if (again && !stopping.signal.aborted) timer = setTimeout(look, REFRESH_MILLISECONDS);
    };
    setFound({});
    look();
    return () => {
      stopping.abort();
      clearTimeout(timer);
    };
  }, [dagId, runId, taskId, mapIndex]);
  return h(
    "section",
    { className: "segmind-app", "aria-label": "Segmind" },
    h("style", null, STYLE),
    found.trouble && h("p", { role: "alert", className: "segmind-note segmind-alert" }, troubleOf(found.trouble)),
    found.task ? h(Task, { task: found.task }) : !found.trouble && h("p", { role: "status" }, "Reading the task…"),
  );
}

function troubleOf(trouble) {
  return trouble.isRefused
    ? "You have no permission to see this task's XComs. An administrator can grant it."
    : `${trouble.message} The page tries again by itself.`;
}

function Task({ task }) {
  const { summary, fields } = task;
  if (!OPERATORS.has(task.operator) && !summary && !task.requestId) {
    return h("p", { role: "status" }, "This task makes no request to Segmind.");
  }
  const prompt = plainText(fields.prompt ?? fields.parameters?.prompt, 500);
  const files = summary?.files ?? [];
  const expires = task.doneAt !== null ? task.doneAt + RETENTION_MILLISECONDS : Infinity;
  const expiredAt = Date.now() > expires ? when(expires) : null;
  const omitted = summary ? summary.fileCount - files.length : 0;
  return [
    h(State, { key: "state", task }),
    files.length > 0 && h(Gallery, { key: "gallery", files, prompt, expiredAt }),
    omitted > 0 && h("p", { key: "omitted" }, `There are ${omitted} more files than the task's summary has room for.`),
    h(ReturnedText, { key: "text", value: task.returned }),
    h(Facts, { key: "request", title: "Request", rows: requestRows(task) }),
    ...files.map((file, index) => {
      const title = files.length > 1 ? `File ${index + 1}` : "File";
      return h(Facts, { key: `file-${index}`, title, rows: fileRows(file) });
    }),
    h(Facts, { key: "parameters", title: "Parameters", rows: parameterRows(fields) }),
  ];
}

/** One sentence on where the task is: what a screen reader says when it changes. */
function State({ task }) {
  const { state } = task;
  if (hasFailed(state)) return h(Failure, { task });
  const said = isWaiting(state) ? waiting(task) : ended(task);
  return h("p", { role: "status" }, said);
}

function ended({ state, summary, isOnlySubmitted }) {
  if (state === "success") {
    if (isOnlySubmitted) return "The request is submitted, and is charged when it completes. This task did not wait for it.";
    if (summary?.cost === 0 && !summary.totalTime) return "The output was there already: nothing was submitted or charged.";
    return summary?.cost != null ? `Done, for ${money(summary.cost)}.` : "Done.";
  }
  return state === "none" || state === "scheduled" ? "The task has not started." : `The task is ${state}.`;
}

function waiting({ state, operator, requestId, submittedAt, usualSeconds, model }) {
  if (state === "queued") return "The task waits for a worker.";
  if (operator === "SegmindSyncInferenceOperator") return "The task waits for the model's answer.";
  if (!requestId) return "The task has not submitted its request yet.";
  const since = submittedAt !== null ? ` since ${when(submittedAt)} (${duration((Date.now() - submittedAt) / 1000)})` : "";
  const usual = usualSeconds ?? (model === "kling-o1-image-to-video" ? KLING_O1_SECONDS : null);
  return `Segmind works on the request${since}.${usual ? ` It usually takes ${duration(usual)}.` : ""}`;
}

function Failure({ task }) {
  const { state, failure } = task;
  const title = state === "up_for_retry" ? "The last attempt failed, and Airflow will try again." : "The task failed.";
  const reason = failure ? failure.message : "The reason is in the task's log.";
  return h(
    "div",
    { role: "alert", className: "segmind-note segmind-alert" },
    h("p", null, h("strong", null, title), ` ${charged(task)}`),
    h("p", null, reason),
  );
}

/** Return what a failed task has cost, as far as its XComs and its error tell. */
export function charged({ state, failure, summary, requestId }) {
  if (state === "upstream_failed") return "Nothing was submitted or charged.";
  if (summary?.cost != null) return summary.cost > 0 ? `${money(summary.cost)} was charged.` : "Nothing was charged.";
  if (summary) return "The request is complete, and was charged.";
  if (failure && (REQUEST_FAILED.has(failure.kind) || (!requestId && NOT_CHARGED.has(failure.kind)))) {
    return "Nothing was charged.";
  }
  return requestId
    ? "The request may still be running, and is charged if it completes."
    : "Whether anything was charged is not known here.";
}

/** Text or JSON that a model made. It is shown as it is, and never as HTML. */
function ReturnedText({ value }) {
  if (value === null || value === undefined || value === "") return null;
  const text = typeof value === "string" ? value : JSON.stringify(value, null, 2);
  const cut = text.length > LONGEST_TEXT ? `${text.slice(0, LONGEST_TEXT)}…` : text;
  return h("section", { "aria-label": "Output" }, h("h2", null, "Output"), h("pre", { tabIndex: 0 }, cut));
}
