/**
 * Cost by day and model: bars, and the same figures as a table.
 *
 * The bars are a small inline SVG and not a chart library: libraries that need no build draw on a canvas, which no
 * screen reader and no style sheet reaches, and they would be larger than all other scripts together.
 */

import { total } from "./account_reading.js";
import { money } from "./words.js";

const { createElement: h } = globalThis.React;

/** Told apart by people who see fewer colors, too (Okabe and Ito); the last one is for all other models. */
const COLORS = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#808080"];
const OTHERS = "other models";
const MOST_LABELS = 8;
const DAY_MILLISECONDS = 24 * 3600 * 1000;

/** Return the cost of each model on each day, the dearest models first. */
export function costsOf(requests, firstDay, lastDay) {
  const sums = new Map();
  for (const { model, cost } of requests) sums.set(model, (sums.get(model) ?? 0) + (cost ?? 0));
  const ranked = [...sums.keys()].filter((model) => sums.get(model) > 0).sort((a, b) => sums.get(b) - sums.get(a));
  const named = ranked.length > COLORS.length ? ranked.slice(0, COLORS.length - 1) : ranked;
  const models = named.length < ranked.length ? [...named, OTHERS] : named;
  const days = daysOf(requests, firstDay, lastDay).map((day) => {
    const paid = requests.filter((request) => request.day === day);
    const costs = models.map((model) => total(paid.filter((each) => isOf(each, model, named)).map((each) => each.cost)));
    return { day, costs, cost: total(costs) };
  });
  return { models, days };
}

/** The bars and the table of some requests. */
export function CostChart({ requests, firstDay, lastDay }) {
  const { models, days } = costsOf(requests, firstDay, lastDay);
  const highest = Math.max(...days.map((each) => each.cost), 0);
  const sum = total(requests.map((each) => each.cost));
  if (highest === 0) return h("p", null, "Nothing was charged.");
  const most = days.find((each) => each.cost === highest);
  const label = `Cost by day: ${money(sum)} in all, most on ${most.day} with ${money(highest)}. The table has all figures.`;
  return h(
    "div",
    { className: "segmind-chart" },
    h("div", { className: "segmind-plot" }, h(Scale, { highest }), h(Bars, { days, models, highest, label })),
    h(Days, { days }),
    h(
      "ul",
      { className: "segmind-legend", "aria-hidden": true },
      models.map((model, index) => h("li", { key: model }, h("span", { style: { background: COLORS[index] } }), model)),
    ),
    h(
      "details",
      null,
      h("summary", null, "Cost by day and model as a table"),
      h(CostTable, { days: days.filter((each) => each.cost > 0), models, sum }),
    ),
  );
}

function Bars({ days, models, highest, label }) {
  const bars = days.flatMap(({ day, costs }, place) => {
    let below = 0;
    return costs.map((cost, index) => {
      const height = (cost / highest) * 100;
      below += height;
      const title = h("title", null, `${day}, ${models[index]}: ${money(cost)}`);
      const box = { x: place + 0.15, y: 100 - below, width: 0.7, height, fill: COLORS[index] };
      return cost > 0 && h("rect", { key: `${day} ${models[index]}`, ...box }, title);
    });
  });
  const box = { viewBox: `0 0 ${days.length} 100`, preserveAspectRatio: "none", role: "img", "aria-label": label };
  return h("svg", box, bars);
}

function Scale({ highest }) {
  return h("div", { className: "segmind-scale", "aria-hidden": true }, h("span", null, money(highest)), h("span", null, "0"));
}

function Days({ days }) {
  const step = Math.ceil(days.length / MOST_LABELS);
  const shown = days.map(({ day }, index) => h("span", { key: day }, index % step === 0 ? day.replace(/^\d{4}-/, "") : ""));
  return h("div", { className: "segmind-days", "aria-hidden": true }, shown);
}

function CostTable({ days, models, sum }) {
  const heads = ["Day (UTC)", ...models, "All"].map((name) => h("th", { key: name, scope: "col" }, name));
  const rows = days.map(({ day, costs, cost }) =>
    h("tr", { key: day }, h("th", { scope: "row" }, day), costs.map((each, index) => cell(index, each)), cell("all", cost)),
  );
  const sums = models.map((_, index) => cell(index, total(days.map((each) => each.costs[index]))));
  const last = h("tr", null, h("th", { scope: "row" }, "All"), sums, cell("all", sum));
  return h(
    "div",
    { className: "segmind-scrolls", role: "region", "aria-label": "Cost by day and model", tabIndex: 0 },
    h("table", null, h("thead", null, h("tr", null, heads)), h("tbody", null, rows), h("tfoot", null, last)),
  );
}

function cell(key, cost) {
  return h("td", { key, className: "segmind-figure" }, cost > 0 ? money(cost) : "–");
}

function isOf({ model }, wanted, named) {
  return wanted === OTHERS ? !named.includes(model) : model === wanted;
}

/** All days from the first to the last, and those of requests that say no day, or another one. */
function daysOf(requests, firstDay, lastDay) {
  const days = new Set();
  if (firstDay && lastDay) {
    for (let at = Date.parse(firstDay); at <= Date.parse(lastDay) && days.size < 40; at += DAY_MILLISECONDS) {
      days.add(new Date(at).toISOString().slice(0, 10));
    }
  }
  for (const { day } of requests) days.add(day);
  return [...days].sort();
}
