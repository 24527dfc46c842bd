"use strict";
// Reads the management endpoints beside this page and draws them. The token stays in this tab.

const COLOURS = ["#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bb8855", "#777799"];
const byId = (id) => document.getElementById(id);
let chart = null;

function element(tag, text, className) {
  const made = document.createElement(tag);
  if (text !== undefined && text !== null) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function money(text) {
  const value = Number(text);
  if (!Number.isFinite(value)) return "";
  return "$" + value.toFixed(value !== 0 && Math.abs(value) < 1 ? 4 : 2);
}
const count = (value) => (value === null || value === undefined ? "" : Number(value).toLocaleString("en"));
const short = (value) => (value >= 1e7 ? Number(value).toLocaleString("en", { notation: "compact", maximumFractionDigits: 1 }) : count(value));
const share = (value) => (value === null || value === undefined ? "" : (100 * value).toFixed(1) + "%");
const seconds = (value) => (value === null || value === undefined ? "" : value.toFixed(2) + " s");

async function get(path, query) {
  const url = new URL(path, document.baseURI);
  for (const [name, value] of Object.entries(query || {})) if (value) url.searchParams.set(name, value);
  const token = sessionStorage.getItem("token");
  const answer = await fetch(url, { headers: token ? { authorization: "Bearer " + token } : {} });
  if (answer.status === 401) throw Object.assign(new Error("a token is needed"), { login: true });
  const said = await answer.json();
  if (!answer.ok) throw new Error(said.error.message);
  return said;
}

function table(target, columns, rows, empty) {
  target.replaceChildren();
  if (!rows.length) { target.append(element("p", empty || "nothing in this time", "none")); return; }
  const made = element("table"), head = made.createTHead().insertRow(), body = made.createTBody();
  for (const column of columns) { const cell = element("th", column.title, column.kind); cell.scope = "col"; head.append(cell); }
  for (const row of rows) {
    const line = body.insertRow();
    for (const column of columns) {
      const value = column.of(row), cell = line.insertCell();
      if (value instanceof Node) cell.append(value); else cell.textContent = value ?? "";
      cell.className = [column.kind, column.tone ? column.tone(row) : ""].filter(Boolean).join(" ");
    }
  }
  target.append(made);
}

const number = (title, of, tone) => ({ title, of, kind: "number", tone });
const SUMS = [
  number("requests", (row) => count(row.requests)),
  number("tokens", (row) => count(row.total_tokens)),
  number("cost", (row) => money(row.cost)),
];
const failing = (row) => (row.failure_rate > 0.2 ? "bad" : row.failure_rate > 0.05 ? "warn" : "");

function filters() {
  const form = new FormData(byId("filters"));
  const start = new Date();
  start.setHours(0, 0, 0, 0);
  start.setDate(start.getDate() - (Number(form.get("days")) - 1));
  return {
    start: start.toISOString(), tz: Intl.DateTimeFormat().resolvedOptions().timeZone,
    provider: form.get("provider"), model: form.get("model"), user: form.get("user"), tag: form.get("tag"),
  };
}

function tiles(row) {
  const cached = row && row.input_tokens ? (row.cache_read_tokens || 0) / row.input_tokens : null;
  const shown = [
    ["spent", row ? money(row.cost) : "$0.00"], ["requests", short(row ? row.requests : 0)],
    ["input tokens", short(row ? row.input_tokens : 0)], ["output tokens", short(row ? row.output_tokens : 0)],
    ["read from cache", share(cached)], ["saved by caches", row ? money(row.saved) : ""],
    ["of it: retries", row ? money(row.retry_cost) : ""], ["of it: fallbacks", row ? money(row.fallback_cost) : ""],
    ["failed", row ? share(row.failure_rate) : ""],
    ["median", row ? seconds(row.latency_p50) : ""], ["slowest 5%", row ? seconds(row.latency_p95) : ""],
  ];
  byId("tiles").replaceChildren(...shown.map(([name, value]) => {
    const tile = element("div", null, "tile");
    tile.append(element("b", value || "–"), element("span", name));
    return tile;
  }));
}

function spend(rows, start) {
  const names = new Map(), days = [...new Set(rows.map((row) => row.group.day))].sort();
  for (const row of rows) {
    const name = `${row.group.provider}/${row.group.model}`;
    names.set(name, (names.get(name) || 0) + Number(row.cost));
  }
  const top = [...names].sort((a, b) => b[1] - a[1]).map(([name]) => name);
  const shown = top.slice(0, COLOURS.length - 1), other = top.length > shown.length;
  const labels = other ? [...shown, "other"] : shown;
  const values = labels.map(() => days.map(() => 0));
  for (const row of rows) {
    const place = shown.indexOf(`${row.group.provider}/${row.group.model}`);
    values[place < 0 ? labels.length - 1 : place][days.indexOf(row.group.day)] += Number(row.cost);
  }
  const stacked = values.map(() => days.map(() => 0));
  values.forEach((series, place) => series.forEach((value, day) => {
    stacked[place][day] = value + (place ? stacked[place - 1][day] : 0);
  }));
  if (chart) chart.destroy();
  const target = byId("spend");
  target.replaceChildren();
  byId("legend").replaceChildren(...labels.map((label, place) => {
    const made = element("span"), swatch = element("i", null, "swatch");
    swatch.style.background = COLOURS[place];
    made.append(swatch, `${label} ${money(values[place].reduce((a, b) => a + b, 0))}`);
    return made;
  }));
  if (!days.length) { target.append(element("p", "nothing in this time", "none")); return; }
  const style = getComputedStyle(document.body), soft = style.getPropertyValue("--soft"), line = style.getPropertyValue("--line");
  const axis = { stroke: soft, grid: { stroke: line, width: 1 }, ticks: { stroke: line } };
  const order = labels.map((_, place) => labels.length - 1 - place);
  chart = new uPlot({
    width: Math.max(280, target.clientWidth), height: 260, legend: { show: false }, cursor: { drag: { x: true, y: false } },
    scales: { x: { time: true, range: () => [start - 43200, Date.now() / 1000 + 43200] }, y: { range: (_, low, high) => [0, high || 1] } },
    axes: [axis, { ...axis, values: (_, marks) => marks.map(money), size: 70 }],
    series: [{}, ...order.map((place) => ({
      label: labels[place], fill: COLOURS[place], stroke: COLOURS[place], width: 0,
      paths: uPlot.paths.bars({ size: [0.7, 60] }), points: { show: false },
    }))],
  }, [days.map((day) => Date.parse(day) / 1000), ...order.map((place) => stacked[place])], target);
}

function budgets(rows) {
  table(byId("budgets"), [
    { title: "budget", of: (row) => row.name },
    { title: "used, mark at 90%", of: (row) => {
      const bar = element("div", null, "bar"), fill = element("i", null, row.used >= 1 ? "bad" : row.used >= 0.9 ? "warn" : "");
      fill.style.width = Math.min(100, 100 * (row.used || 0)) + "%";
      bar.append(fill, element("u"));
      bar.title = share(row.used);
      return bar;
    } },
    number("spent", (row) => money(row.spent)), number("limit", (row) => money(row.limit)),
    { title: "until", of: (row) => (row.resets_at ? new Date(row.resets_at).toLocaleString() : "never") },
  ], rows, "no budgets are configured");
}

function suggest(id, values) {
  byId(id).replaceChildren(...values.filter(Boolean).slice(0, 200).map((value) => {
    const option = element("option");
    option.value = value;
    return option;
  }));
}

async function show() {
  const query = filters(), message = byId("message");
  message.textContent = "reading ...";
  const sums = (by, more) => get("providers/costs/stats", { ...query, by, ...more }).then((said) => said.rows);
  const optional = (promise, empty) => promise.catch((error) => { if (error.login) throw error; return empty; });
  try {
    const budget = await optional(get("budgets"), { budgets: [] }); // first, so that a missing token is asked for once
    const [all, days, models, users, agents, unpriced, tags, health, failed] = await Promise.all([
      sums(""), sums("day,provider,model"), sums("provider,model"), sums("user", { limit: 200 }), sums("agent", { limit: 15 }),
      sums("provider,model,unpriced_reason"), sums("tag", { limit: 15 }),
      optional(get("providers/health"), { targets: [] }),
      get("calls", { ...query, status: "error", newest: "true", limit: "20" }),
    ]);
    tiles(all[0]);
    spend(days, Date.parse(query.start) / 1000);
    budgets(budget.budgets);
    table(byId("health"), [
      { title: "target", of: (row) => `${row.provider}/${row.model}` },
      { title: "circuit", of: (row) => row.state + (row.reason ? ` (${row.reason})` : ""), tone: (row) => (row.state === "closed" ? "ok" : "bad") },
      number("failed", (row) => share(row.failure_rate)), number("median", (row) => seconds(row.latency_p50 ?? row.first_content_p50)),
    ], health.targets, "no target was used by this process");
    table(byId("by-model"), [
      { title: "model", of: (row) => `${row.group.provider}/${row.group.model}` }, ...SUMS,
      number("cached", (row) => share(row.input_tokens ? (row.cache_read_tokens || 0) / row.input_tokens : null)),
      number("failed", (row) => share(row.failure_rate), failing),
      number("median", (row) => seconds(row.latency_p50)), number("slowest 5%", (row) => seconds(row.latency_p95)),
      number("retries", (row) => money(row.retry_cost)), number("fallbacks", (row) => money(row.fallback_cost)),
      number("rated", (row) => (row.rated ? `${row.score.toFixed(2)} (${count(row.rated)})` : "")),
    ], models);
    table(byId("by-user"), [{ title: "user", of: (row) => row.group.user ?? "(none)" }, ...SUMS], users.slice(0, 15));
    table(byId("by-agent"), [{ title: "agent", of: (row) => row.group.agent ?? "(none)" }, ...SUMS], agents.slice(0, 15));
    table(byId("by-tag"), [{ title: "tag", of: (row) => row.group.tag ?? "(none)" }, ...SUMS], tags.slice(0, 15));
    table(byId("unpriced"), [
      { title: "model", of: (row) => `${row.group.provider}/${row.group.model}` }, number("requests", (row) => count(row.unpriced)),
      { title: "why", of: (row) => row.group.unpriced_reason ?? "", kind: "long" },
    ], unpriced.filter((row) => row.unpriced > 0), "every call has a known cost");
    table(byId("failures"), [
      { title: "time", of: (row) => new Date(row.time).toLocaleString() },
      { title: "target", of: (row) => `${row.provider}/${row.model}` }, { title: "error", of: (row) => row.error, tone: () => "bad" },
      { title: "what happened", of: (row) => row.sentence ?? "", kind: "long" },
      number("status", (row) => row.http_status ?? ""), { title: "user", of: (row) => row.user ?? "" },
      { title: "request id", of: (row) => row.request_id ?? "", kind: "long" },
    ], failed.calls, "no failure in this time");
    suggest("providers", [...new Set(models.map((row) => row.group.provider))]);
    suggest("models", [...new Set(models.map((row) => row.group.model))]);
    suggest("users", users.map((row) => row.group.user));
    message.textContent = "";
    document.body.dataset.ready = "true";
  } catch (error) {
    message.textContent = error.login ? "" : error.message;
    if (error.login) login(sessionStorage.getItem("token") ? "this token is not right" : "");
  }
}

function login(why) {
  byId("login-error").textContent = why;
  const dialog = byId("login");
  if (!dialog.open) dialog.showModal();
}

document.addEventListener("DOMContentLoaded", () => {
  byId("login").addEventListener("close", () => {
    sessionStorage.setItem("token", byId("token").value);
    byId("token").value = "";
    show();
  });
  byId("filters").addEventListener("submit", (event) => { event.preventDefault(); show(); });
  byId("filters").elements.days.addEventListener("change", show);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
  show();
});
