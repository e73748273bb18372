/** What the tab knows of a task instance. All of it comes from Airflow's public REST API, with the reader's permissions. */

import { encode, get, unlessStopped } from "./airflow.js";
import { amount, count, isObject, moment, plainText } from "./safety.js";

const MOST_FILES = 100;
/** Files that a request can have. */
const MOST_COUNTED = 100_000;
const MOST_KEYS = 100;
const MOST_LOG_PAGES = 5;
const EARLIER_RUNS = 5;
/** Of operators that run one model. */
const MODELS = new Map([["KlingImageToVideoOperator", "kling-o1-image-to-video"]]);
const WAITING = new Set(["running", "deferred", "up_for_reschedule", "queued", "restarting"]);
const FAILED = new Set(["failed", "up_for_retry", "upstream_failed"]);

export function isWaiting(state) {
  return WAITING.has(state);
}

export function hasFailed(state) {
  return FAILED.has(state);
}

/**
 * Return all that the tab shows of a task instance, in one object.
 *
 * Keys are listed first: a browser writes each answer of 404 to its console as an error.
 */
export async function readTask({ dagId, runId, taskId, mapIndex }, before, signal) {
  const index = Number(mapIndex ?? -1);
  const path = (run, task) => `dags/${encode(dagId)}/dagRuns/${encode(run)}/taskInstances/${encode(task)}`;
  const own = path(runId, taskId);
  const [instance, keys] = await Promise.all([
    get(index < 0 ? own : `${own}/${index}`, {}, signal),
    readKeys(own, index, signal),
  ]);
  const xcom = (key) => {
    return keys.has(key) ? get(`${own}/xcomEntries/${key}`, { map_index: index, stringify: false }, signal) : null;
  };
  const [summaryEntry, requestEntry] = await Promise.all([xcom("summary"), xcom("request_id")]);
  const summary = readSummary(summaryEntry?.value);
  const state = plainText(instance?.state) ?? "none";
  const fields = isObject(instance?.rendered_fields) ? instance.rendered_fields : {};
  const operator = plainText(instance?.operator_name ?? instance?.operator);
  const task = {
    state,
    operator,
    fields,
    summary,
    isOnlySubmitted: keys.has("request_id") && !keys.has("summary"),
    requestId: summary?.requestId ?? plainText(requestEntry?.value, 200) ?? plainText(fields.request_id, 200),
    submittedAt: moment(requestEntry?.timestamp) ?? moment(instance?.start_date),
    doneAt: moment(summaryEntry?.timestamp),
    model: summary?.model ?? plainText(fields.model) ?? MODELS.get(operator) ?? null,
  };
  const mayHaveText = state === "success" && !task.isOnlySubmitted && !(summary?.files.length > 0);
  if (mayHaveText) task.returned = (await xcom("return_value"))?.value;
  if (hasFailed(state)) task.failure = await readFailure(own, instance, index, signal);
  if (isWaiting(state)) {
    const measured = before?.measuredSeconds ?? readUsualDuration(path, dagId, taskId, signal).catch(unlessStopped);
    task.measuredSeconds = (await measured) ?? 0;
    task.usualSeconds = task.measuredSeconds || amount(Number(fields.expected_duration)) || null;
  }
  return task;
}

/** Return the keys of the XComs of a task instance. */
async function readKeys(own, index, signal) {
  const list = await get(`${own}/xcomEntries`, { map_index: index, map_index_filter: index, limit: MOST_KEYS }, signal);
  const entries = Array.isArray(list?.xcom_entries) ? list.xcom_entries : [];
  return new Set(entries.filter((each) => each.map_index === index).map((each) => each.key));
}

/** Return what a task has pushed of its request, without what is not as it should be. */
export function readSummary(value) {
  if (!isObject(value)) return null;
  const files = (Array.isArray(value.files) ? value.files : []).filter(isObject).slice(0, MOST_FILES);
  return {
    requestId: plainText(value.request_id, 300),
    model: plainText(value.model, 300),
    cost: amount(value.cost),
    queueTime: amount(value.queue_time),
    inferenceTime: amount(value.inference_time),
    totalTime: amount(value.total_time),
    fileCount: count(value.file_count, MOST_COUNTED) ?? files.length,
    files: files.map((file) => ({
      url: plainText(file.url, 10_000),
      storedAt: plainText(file.output_path, 5000),
      size: count(file.bytes),
      sha256: plainText(file.sha256, 128),
      contentType: plainText(file.content_type, 300),
    })),
  };
}

/** Return the error that ended the last attempt, as the task's log has it; null if the log cannot be read. */
async function readFailure(own, instance, index, signal) {
  let found = null;
  let token;
  for (let page = 0; page < MOST_LOG_PAGES; page += 1) {
    const query = { map_index: index, full_content: false, ...(token ? { token } : {}) };
    const log = await get(`${own}/logs/${instance.try_number}`, query, signal).catch(unlessStopped);
    const entries = Array.isArray(log?.content) ? log.content : [];
    for (const entry of entries) found = errorOf(entry) ?? found;
    if (!log?.continuation_token || entries.length === 0) break;
    token = log.continuation_token;
  }
  return found;
}

function errorOf(entry) {
  const [error] = Array.isArray(entry?.error_detail) ? entry.error_detail : [];
  const kind = plainText(error?.exc_type, 200);
  return kind ? { kind, message: plainText(error.exc_value, 8000) ?? kind } : null;
}

/** Return the median of what earlier requests of the same task took, in seconds; null if there are none. */
async function readUsualDuration(path, dagId, taskId, signal) {
  const query = { task_id: taskId, state: "success", order_by: "-end_date", limit: EARLIER_RUNS };
  const list = await get(`dags/${encode(dagId)}/dagRuns/~/taskInstances`, query, signal);
  const earlier = (list?.task_instances ?? []).filter((each) => each.task_id === taskId && each.state === "success");
  const times = [];
  for (const each of earlier.slice(0, EARLIER_RUNS)) {
    const entry = `${path(each.dag_run_id, taskId)}/xcomEntries/summary`;
    const found = await get(entry, { map_index: each.map_index, stringify: false }, signal);
    const seconds = readSummary(found?.value)?.totalTime;
    if (seconds) times.push(seconds);
  }
  times.sort((a, b) => a - b);
  return times.length > 0 ? times[Math.floor(times.length / 2)] : null;
}
