/** The page "Segmind" in the navigation: what an account has made and spent, and what was paid for nothing. */

import { DEFAULT_CONNECTION, PERIODS, readAccount, readConnections, total } from "./account_reading.js";
import { NotReadable } from "./airflow.js";
import { CostChart } from "./chart.js";
import { isLost, readDeliveries, taskPage, verdictOf } from "./deliveries.js";
import { Copyable, Facts, OutsideLink } from "./facts.js";
import { RETENTION_MILLISECONDS, modelPage } from "./safety.js";
import { STYLE } from "./style.js";
import { duration, money, when } from "./words.js";

const { Fragment, cloneElement, createElement: h, useEffect, useId, useState } = globalThis.React;

const ROWS_AT_A_TIME = 100;
const EVERY = "";
const VERDICTS = {
  delivered: "Delivered",
  waiting: "Under way",
  failed: "Not delivered: the task did not succeed",
  uncollected: "Not collected: a task submitted it, and none has its result",
  none: "In no task that you may read",
  unknown: "Not known",
};

export function SegmindAccount() {
  const [asked, setAsked] = useState({ connection: DEFAULT_CONNECTION, days: 7, until: "" });
  const [found, setFound] = useState({});
  useEffect(() => {
    const stopping = new AbortController();
    const look = async () => {
      try {
        const account = await readAccount(asked, stopping.signal);
        setFound({ account });
        const since = account.firstDay ? Date.parse(account.firstDay) : 0;
        const deliveries = await readDeliveries(since, stopping.signal).catch((error) => {
          if (!(error instanceof NotReadable)) throw error;
          return { tasks: new Map(), looked: 0, unreadable: 0, isComplete: false, trouble: error };
        });
        setFound({ account, deliveries });
      } catch (error) {
        if (error.name === "AbortError") return;
        if (!(error instanceof NotReadable)) console.error(error);
        setFound((shown) => ({ ...shown, trouble: error }));
      }
    };
    setFound({});
    look();
    return () => stopping.abort();
  }, [asked]);
  const { account, deliveries, trouble } = found;
  return h(
    "section",
    { className: "segmind-app segmind-account", "aria-label": "Segmind" },
    h("style", null, STYLE),
    h("h1", null, "Segmind"),
    h(Wanted, { asked, onAsk: setAsked }),
    trouble && h("p", { role: "alert", className: "segmind-note segmind-alert" }, troubleOf(trouble)),
    account ? h(Account, { account, deliveries }) : !trouble && h("p", { role: "status" }, "Reading the account…"),
  );
}

function troubleOf(trouble) {
  if (trouble.status === 401) return "You are not logged in.";
  if (trouble.status === 403) return "You have no permission to read this connection. An administrator can grant it.";
  return trouble.message;
}

/** Which account, and of which days. Nothing is asked before the button is pressed: each question takes the key's turns. */
function Wanted({ asked, onAsk }) {
  const [connections, setConnections] = useState([DEFAULT_CONNECTION]);
  const [wanted, setWanted] = useState(asked);
  useEffect(() => {
    const stopping = new AbortController();
    readConnections(stopping.signal).then(setConnections, () => {});
    return () => stopping.abort();
  }, []);
  const set = (name) => (event) => setWanted({ ...wanted, [name]: event.target.value });
  const submit = (event) => {
    event.preventDefault();
    onAsk({ ...wanted, connection: wanted.connection.trim() || DEFAULT_CONNECTION });
  };
  const periods = Object.entries(PERIODS).map(([days, words]) => h("option", { key: days, value: days }, words));
  return h(
    "form",
    { className: "segmind-row", onSubmit: submit },
    h(Field, { label: "Connection" }, h("input", { value: wanted.connection, list: "segmind-connections", onChange: set("connection") })),
    h("datalist", { id: "segmind-connections" }, connections.map((id) => h("option", { key: id, value: id }))),
    h(Field, { label: "Period" }, h("select", { value: wanted.days, onChange: set("days") }, periods)),
    h(Field, { label: "Last day (UTC)" }, h("input", { type: "date", min: "2020-01-01", value: wanted.until, onChange: set("until") })),
    h("button", { type: "submit" }, "Show"),
  );
}

function Field({ label, children }) {
  const id = useId();
  return h("div", { className: "segmind-field" }, h("label", { htmlFor: id }, label), cloneElement(children, { id }));
}

function Account({ account, deliveries }) {
  const [filters, setFilters] = useState({ day: EVERY, model: EVERY, state: EVERY });
  const judge = (request) => (deliveries ? verdictOf(request, deliveries) : { verdict: null, task: null });
  const judged = account.requests.map((request) => ({ ...request, ...judge(request) }));
  const lost = judged.filter((each) => isLost(each.verdict));
  const shown = judged.filter((each) => Object.entries(filters).every(([name, value]) => value === EVERY || each[name] === value));
  const days = filters.day === EVERY ? [account.firstDay, account.lastDay] : [filters.day, filters.day];
  return [
    h(Summary, { key: "summary", account, deliveries, lost }),
    h(Lost, { key: "lost", lost, deliveries }),
    h(Filters, { key: "filters", requests: judged, filters, onFilter: setFilters }),
    h(
      "section",
      { key: "cost", "aria-label": "Cost by day" },
      h("h2", null, "Cost by day"),
      h(CostChart, { requests: shown, firstDay: days[0], lastDay: days[1] }),
    ),
    h(Requests, { key: "requests", requests: shown }),
    h(Limits, { key: "limits", deliveries }),
  ];
}

function Summary({ account, deliveries, lost }) {
  const { requests, balance, readAt, unread, unreadable } = account;
  const unpriced = requests.filter((each) => each.state === "COMPLETED" && each.cost === null).length;
  const rows = [
    ["Balance", balance === null ? "cannot be read" : money(balance)],
    ["Charged in this period", money(total(requests.map((each) => each.cost)))],
    ["Requests", `${requests.length}${unpriced ? `, ${unpriced} without a stated cost` : ""}`],
    ["Paid, and not delivered", deliveries ? money(total(lost.map((each) => each.cost))) : "looking at the tasks…"],
    ["Period (UTC)", account.firstDay && account.lastDay ? `${account.firstDay} to ${account.lastDay}` : null],
    ["Read", readAt === null ? null : when(readAt)],
  ];
  const gaps = [
    unread && `Older requests are missing: ${unread}`,
    unreadable > 0 && `${unreadable} rows of the history cannot be read.`,
  ].filter(Boolean);
  return [
    h(Facts, { key: "facts", title: "Account", rows }),
    gaps.length > 0 && h("p", { key: "gaps", role: "status", className: "segmind-note segmind-alert" }, gaps.join(" ")),
  ];
}

/** Requests that were paid, and that no task delivered. */
function Lost({ lost, deliveries }) {
  const shown = lost.map((request, index) =>
    h(
      "li",
      { key: `${request.id} ${index}` },
      `${request.cost === null ? "A cost that is not stated" : money(request.cost)} on ${request.day}, `,
      h("bdi", null, request.model),
      ", ",
      h(Copyable, { text: request.id, what: `request id ${request.id}` }),
      h("br"),
      `${VERDICTS[request.verdict]}${request.task ? ": " : "."}`,
      request.task && h(TaskLink, { task: request.task }),
    ),
  );
  const none = deliveries?.isComplete
    ? "None: each request that was paid belongs to a task that delivered it, or is still at it."
    : "None is known.";
  return h(
    "section",
    { "aria-label": "Paid, and not delivered" },
    h("h2", null, "Paid, and not delivered"),
    !deliveries && h("p", { role: "status" }, "Looking at the tasks…"),
    deliveries && (lost.length > 0 ? h("ul", { className: "segmind-lost" }, shown) : h("p", { role: "status" }, none)),
  );
}

function Filters({ requests, filters, onFilter }) {
  const values = (name) => [...new Set(requests.map((each) => each[name]))].sort();
  const choice = (name, label, every, words = (value) => value) =>
    h(
      Field,
      { label },
      h(
        "select",
        { value: filters[name], onChange: (event) => onFilter({ ...filters, [name]: event.target.value }) },
        h("option", { value: EVERY }, every),
        values(name).map((value) => h("option", { key: value, value }, words(value))),
      ),
    );
  return h(
    "div",
    { className: "segmind-row", role: "group", "aria-label": "Filters" },
    choice("day", "Day (UTC)", "Every day"),
    choice("model", "Model", "Every model"),
    choice("state", "State", "Every state", stateWords),
  );
}

function Requests({ requests }) {
  const [most, setMost] = useState(ROWS_AT_A_TIME);
  const heads = ["Submitted", "Request", "Model", "State", "Cost", "Duration", "Output", "Task"];
  const head = h("tr", null, heads.map((name) => h("th", { key: name, scope: "col" }, name)));
  const rows = requests.slice(0, most).map((request, index) => h(Row, { key: `${request.id} ${index}`, request }));
  const count = `${requests.length} ${requests.length === 1 ? "request" : "requests"}, ${money(total(requests.map((each) => each.cost)))}`;
  return h(
    "section",
    { "aria-label": "Requests" },
    h("h2", null, "Requests"),
    h("p", { role: "status" }, count),
    rows.length > 0 &&
      h(
        "div",
        { className: "segmind-scrolls", role: "region", "aria-label": "Table of requests", tabIndex: 0 },
        h("table", null, h("thead", null, head), h("tbody", null, rows)),
      ),
    requests.length > most &&
      h("button", { type: "button", onClick: () => setMost(most + ROWS_AT_A_TIME) }, `Show ${ROWS_AT_A_TIME} more`),
  );
}

function Row({ request }) {
  const { id, model, state, createdAt, duration: seconds, error, verdict, task } = request;
  return h(
    "tr",
    null,
    h("td", null, createdAt === null ? "not stated" : when(createdAt)),
    h("td", null, h("code", null, id)),
    h("td", null, h(OutsideLink, { url: modelPage(model) }, model)),
    h("td", null, stateWords(state), error && h("div", { className: "segmind-reason" }, error)),
    h("td", { className: "segmind-figure" }, costWords(request)),
    h("td", { className: "segmind-figure" }, seconds === null ? "–" : duration(seconds)),
    h("td", null, h(Outputs, { request })),
    h("td", null, task ? h(TaskLink, { task }) : null, verdict && h("div", { className: "segmind-reason" }, VERDICTS[verdict])),
  );
}

function Outputs({ request: { createdAt, outputs, outputCount, id } }) {
  if (outputs.length === 0) return outputCount > 0 ? "no address that a browser may open" : "–";
  if (createdAt !== null && Date.now() > createdAt + RETENTION_MILLISECONDS) return "deleted after seven days";
  const links = outputs.map((url, index) => {
    const name = outputs.length > 1 ? `Open ${index + 1}` : "Open";
    const words = h(Fragment, null, name, h("span", { className: "segmind-unseen" }, ` output of ${id}`));
    return h("span", { key: index }, h(OutsideLink, { url }, words), " ");
  });
  return [links, outputCount > outputs.length && `and ${outputCount - outputs.length} more`];
}

function TaskLink({ task }) {
  const index = task.mapIndex < 0 ? "" : `[${task.mapIndex}]`;
  return h("a", { href: taskPage(task).href }, `${task.dagId}.${task.taskId}${index}`);
}

/** What the page knows, and what it cannot know. */
function Limits({ deliveries }) {
  if (!deliveries) return null;
  const { looked, unreadable, isComplete, trouble } = deliveries;
  const seen = trouble
    ? "The tasks could not be read, so what became of each request is not known."
    : `${looked} tasks have XComs of this period${isComplete ? "." : ", and not all of them could be read. So what is in none of them may still be in a task."}`;
  return h(
    "details",
    { className: "segmind-limits" },
    h("summary", null, "What this page knows of tasks"),
    h("p", null, `${seen}${unreadable > 0 ? ` ${unreadable} of them have no id that this page can read.` : ""}`),
    h("p", null, "A request belongs to a task whose XCom summary or request_id names it, in the DAGs that you may read."),
    h(
      "p",
      null,
      "The page cannot tell money that is lost from requests of another Airflow, a script or a teammate with the same " +
        "account; of a task without XComs; and of a run that was deleted. Clearing a task deletes its XComs.",
    ),
  );
}

function costWords({ state, cost }) {
  if (state === "PENDING") return "–";
  return cost === null ? "not stated" : money(cost);
}

function stateWords(state) {
  return `${state.slice(0, 1)}${state.slice(1).toLowerCase()}`;
}
