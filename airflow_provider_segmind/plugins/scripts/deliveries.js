/**
 * Which task has which request: what tells money that made something from money that is lost.
 *
 * Airflow's XComs know it. They are read through the public REST API, with the reader's own permissions, so that the
 * page names no task that the reader may not see, and cannot know of one.
 */

import { canonicalId } from "./account_reading.js";
import { address, encode, get, search, unlessStopped } from "./airflow.js";
import { isObject, moment, plainText } from "./safety.js";

const PAGE = 100;
const MOST_PAGES = 10;
/** Tasks whose XComs are read for one look; each takes a request to Airflow. */
const MOST_TASKS = 500;
const AT_ONCE = 6;
const UNREADABLE = Symbol("unreadable");
const UNDER_WAY = new Set([
  ...["running", "deferred", "queued", "scheduled", "restarting", "up_for_retry", "up_for_reschedule", "none"],
]);

/** Values of XComs that have been read: they do not change while their time stamp is the same. */
const known = new Map();

/**
 * Return the tasks that have a request, by the request's id, and whether these are all of them.
 *
 * @param since Milliseconds: no request that is asked for is older.
 */
export async function readDeliveries(since, signal) {
  const [delivered, submitted] = await Promise.all([
    readEntries("summary", since, signal),
    readEntries("request_id", since, signal),
  ]);
  const instances = new Map();
  for (const entry of [...submitted.entries, ...delivered.entries]) {
    const before = instances.get(keyOf(entry)) ?? { at: 0, xcoms: {} };
    const { dagId, runId, taskId, mapIndex, at } = entry;
    const xcoms = { ...before.xcoms, [entry.key]: entry };
    instances.set(keyOf(entry), { dagId, runId, taskId, mapIndex, at: Math.max(at, before.at), xcoms });
  }
  const newest = [...instances.values()].sort((a, b) => b.at - a.at).slice(0, MOST_TASKS);
  const ids = await inTurns(newest, (instance) => readId(instance, signal));
  const states = await readStates(newest, signal);
  const tasks = new Map();
  newest.forEach(({ xcoms, ...place }, index) => {
    const id = ids[index];
    if (typeof id !== "string") return;
    const task = { ...place, hasSummary: Boolean(xcoms.summary), state: states.get(keyOf(place)) ?? "unknown" };
    tasks.set(id, [...(tasks.get(id) ?? []), task]);
  });
  const unreadable = ids.filter((id) => id === UNREADABLE).length;
  const isCut = delivered.isCut || submitted.isCut || newest.length < instances.size;
  return { tasks, looked: ids.filter((id) => id !== null).length, unreadable, isComplete: !isCut && unreadable === 0 };
}

/**
 * Return what became of a request that was paid: `delivered`, `waiting`, `failed`, `uncollected`, `none` or `unknown`;
 * null if it was not paid. And the task that says so, if there is one.
 */
export function verdictOf(request, deliveries) {
  if (request.state !== "COMPLETED" || request.cost === 0) return { verdict: null, task: null };
  const tasks = deliveries?.tasks.get(canonicalId(request.id)) ?? [];
  const first = (isOne) => tasks.find(isOne) ?? null;
  const delivering = first((each) => each.hasSummary && each.state === "success");
  if (delivering) return { verdict: "delivered", task: delivering };
  const waiting = first((each) => UNDER_WAY.has(each.state));
  if (waiting) return { verdict: "waiting", task: waiting };
  const unclear = first((each) => each.state === "unknown");
  if (unclear) return { verdict: "unknown", task: unclear };
  const failed = first((each) => each.state !== "success");
  if (failed) return { verdict: "failed", task: failed };
  if (tasks.length > 0) return { verdict: "uncollected", task: tasks[0] };
  return { verdict: deliveries?.isComplete ? "none" : "unknown", task: null };
}

/** Whether money is lost, as far as the page knows. */
export function isLost(verdict) {
  return verdict === "failed" || verdict === "uncollected" || verdict === "none";
}

/** Return the address of a task's page. */
export function taskPage({ dagId, runId, taskId, mapIndex }) {
  const mapped = mapIndex < 0 ? "" : `/mapped/${mapIndex}`;
  return address(`dags/${encode(dagId)}/runs/${encode(runId)}/tasks/${encode(taskId)}${mapped}`);
}

/** Return the newest XComs of a key. Before Airflow 3.2 they come in no order, so there is no end to look for. */
async function readEntries(key, since, signal) {
  const entries = [];
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const query = { xcom_key: key, limit: PAGE, offset: page * PAGE, order_by: "-timestamp" };
    const list = await get("dags/~/dagRuns/~/taskInstances/~/xcomEntries", query, signal);
    const rows = Array.isArray(list?.xcom_entries) ? list.xcom_entries.filter(isObject) : [];
    const read = rows.map((row) => entryOf(row)).filter((each) => each !== null && each.key === key);
    entries.push(...read.filter((each) => each.at >= since));
    const isSorted = read.every((each, index) => index === 0 || each.at <= read[index - 1].at);
    const isOver = rows.length < PAGE || (isSorted && read.length > 0 && read[read.length - 1].at < since);
    if (isOver) return { entries, isCut: false };
  }
  return { entries, isCut: true };
}

function entryOf(row) {
  const at = moment(row.timestamp);
  const names = [row.dag_id, row.run_id, row.task_id];
  if (at === null || !names.every((name) => typeof name === "string") || !Number.isInteger(row.map_index)) return null;
  const [dagId, runId, taskId] = names;
  return { dagId, runId, taskId, mapIndex: row.map_index, key: row.key, at };
}

function keyOf({ dagId, runId, taskId, mapIndex }) {
  return JSON.stringify([dagId, runId, taskId, mapIndex]);
}

/**
 * Return the id of the request that a task has; null if it has none, as a task of another provider that also pushes
 * something called `summary`; UNREADABLE if it has one that this page cannot read, as from a custom XCom backend.
 */
async function readId({ xcoms }, signal) {
  const summary = xcoms.summary && (await readValue(xcoms.summary, signal));
  const fromSummary = isObject(summary) ? idOf(summary.request_id) : null;
  if (fromSummary !== null) return fromSummary;
  if (!xcoms.request_id) return summary === UNREADABLE ? UNREADABLE : null;
  return idOf(await readValue(xcoms.request_id, signal)) ?? UNREADABLE;
}

async function readValue(entry, signal) {
  const name = JSON.stringify([keyOf(entry), entry.key, entry.at]);
  if (!known.has(name)) {
    const own = `dags/${encode(entry.dagId)}/dagRuns/${encode(entry.runId)}/taskInstances/${encode(entry.taskId)}`;
    const query = { map_index: entry.mapIndex, stringify: false };
    const found = await get(`${own}/xcomEntries/${entry.key}`, query, signal).catch(unlessStopped);
    if (!isObject(found)) return UNREADABLE;
    known.set(name, isObject(found.value) ? { request_id: found.value.request_id } : plainText(found.value, 300));
  }
  return known.get(name);
}

function idOf(value) {
  const id = plainText(value, 300);
  return id === null || !/^[A-Za-z0-9][A-Za-z0-9._:-]*$/.test(id) ? null : canonicalId(id);
}

/** Return the states of tasks. One question is about many of them, and its answer may have more than was asked for. */
async function readStates(entries, signal) {
  const states = new Map();
  for (let start = 0; start < entries.length; start += PAGE) {
    const asked = entries.slice(start, start + PAGE);
    const names = (name) => [...new Set(asked.map((each) => each[name]))];
    const question = { dag_ids: names("dagId"), dag_run_ids: names("runId"), task_ids: names("taskId") };
    for (let page = 0; page < MOST_PAGES; page += 1) {
      const part = { ...question, page_limit: PAGE, page_offset: page * PAGE };
      const list = await search("dags/~/dagRuns/~/taskInstances/list", part, signal).catch(unlessStopped);
      const rows = Array.isArray(list?.task_instances) ? list.task_instances.filter(isObject) : [];
      for (const row of rows) {
        const place = { dagId: row.dag_id, runId: row.dag_run_id, taskId: row.task_id, mapIndex: row.map_index };
        states.set(keyOf(place), plainText(row.state, 100) ?? "none");
      }
      if (rows.length < PAGE) break;
    }
  }
  return states;
}

/** Return what `act` makes of each, with a few of them under way at a time. */
async function inTurns(items, act) {
  const results = new Array(items.length);
  let next = 0;
  const work = async () => {
    while (next < items.length) {
      const index = next;
      next += 1;
      results[index] = await act(items[index]);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return results;
}
