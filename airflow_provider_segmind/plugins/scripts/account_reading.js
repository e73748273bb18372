/** What the page knows of an account. The server has read it from Segmind, so all of it is untrusted. */

import { NotReadable, address, encode, get, refusal, unlessStopped } from "./airflow.js";
import { amount, count, isObject, moment, openable, plainText } from "./safety.js";

export const DEFAULT_CONNECTION = "segmind_default";
export const PERIODS = { 1: "One day", 7: "7 days", 31: "31 days" };
const NOT_STATED = "not stated";
const MOST_REQUESTS = 1000;
const MOST_CONNECTIONS = 100;
const MOST_OUTPUTS = 10;
const DAY = /^\d{4}-\d{2}-\d{2}$/;

/** Return the ids of the connections to Segmind that the reader may see; those of the environment are not among them. */
export async function readConnections(signal) {
  const query = { limit: MOST_CONNECTIONS, order_by: "connection_id" };
  const list = await get("connections", query, signal).catch(unlessStopped);
  const rows = Array.isArray(list?.connections) ? list.connections.filter(isObject) : [];
  const ids = rows.filter((each) => each.conn_type === "segmind").map((each) => plainText(each.connection_id, 250));
  return [...new Set([DEFAULT_CONNECTION, ...ids.filter(Boolean)])];
}

/** Return the account behind a connection: its balance, and its requests of some days. */
export async function readAccount({ connection, days, until }, signal) {
  const url = address(`segmind-account/connections/${encode(connection)}`, { days, ...(until ? { until } : {}) });
  let response;
  try {
    response = await fetch(url, { credentials: "same-origin", headers: { Accept: "application/json" }, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new NotReadable(0);
  }
  if (!response.ok) throw await refusal(response);
  const found = await response.json().catch(unlessStopped);
  if (!isObject(found)) throw new NotReadable(0, "The answer is not an account. Is something between you and Airflow?");
  return {
    readAt: moment(found.read_at),
    firstDay: day(found.first_day),
    lastDay: day(found.last_day),
    balance: signedAmount(found.balance),
    unread: plainText(found.unread, 2000),
    unreadable: count(found.unreadable) ?? 0,
    requests: (Array.isArray(found.requests) ? found.requests : []).filter(isObject).slice(0, MOST_REQUESTS).map(requestOf),
  };
}

/** Return an id in the form for comparisons: Segmind's hosts differ in dashes, and maybe in case. */
export function canonicalId(id) {
  return id.replaceAll("-", "").toLowerCase();
}

/** Return a sum of money. Binary fractions would show as 0.30000000000000004. */
export function total(costs) {
  return Math.round(costs.reduce((sum, cost) => sum + (cost ?? 0), 0) * 1e6) / 1e6;
}

function requestOf(row) {
  const createdAt = moment(row.created_at);
  const urls = Array.isArray(row.output_urls) ? row.output_urls.slice(0, MOST_OUTPUTS) : [];
  return {
    id: plainText(row.request_id, 300) ?? "",
    model: plainText(row.model, 300) ?? NOT_STATED,
    state: plainText(row.state, 100) ?? NOT_STATED,
    cost: amount(row.cost),
    createdAt,
    day: createdAt === null ? NOT_STATED : new Date(createdAt).toISOString().slice(0, 10),
    duration: amount(row.duration),
    outputs: urls.map(openable).filter(Boolean),
    outputCount: count(row.output_count) ?? 0,
    error: plainText(row.error, 2000),
  };
}

function day(value) {
  return typeof value === "string" && DAY.test(value) && moment(value) !== null ? value : null;
}

/** A balance may be below zero. */
function signedAmount(value) {
  return amount(Math.abs(value)) === null || typeof value !== "number" ? null : value;
}
