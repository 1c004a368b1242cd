// The switches: one row each, changed in place, with a bar that shrinks to the deadline.

import { act, button, byId, call, confirmed, el, may, moment, now_ms, scope, span, text } from "./dom.js";

const SHOWN_ENDED = 20;
const FILTERED_FROM = 5; // so many switches are worth a search field
const RISK = 0.25;
const rows = new Map();
let ordering = false;
let wanted = "";

export function startSwitches() {
  byId("switch-filter").addEventListener("input", (event) => {
    wanted = event.target.value.trim().toLowerCase();
    orderSoon();
  });
}

function orderSoon() {
  if (ordering) return;
  ordering = true;
  requestAnimationFrame(order);
}

export function changeSwitches({ changed, gone }) {
  let moved = gone.length > 0;
  for (const id of gone) {
    rows.get(id)?.node.remove();
    rows.delete(id);
  }
  for (const change of changed) {
    const row = rows.get(change.id) ?? newRow(change);
    moved ||= change.state !== undefined || change.name !== undefined;
    Object.assign(row.data, change);
    row.key = `${row.data.account} ${row.data.name ?? ""} ${row.data.id}`;
    draw(row);
  }
  const live = [...rows.values()].filter((row) => isLive(row.data)).length;
  text(byId("switch-count"), live ? `${live} armed` : "");
  byId("switch-find").hidden = live < FILTERED_FROM && !wanted;
  if (moved) orderSoon();
}

/** Update what depends on the time; called every second. */
export function tickSwitches() {
  for (const row of rows.values()) if (isLive(row.data)) drawTime(row);
}

const isLive = (it) => it.state === "armed" || it.state === "waiting";

function newRow(data) {
  const row = { data: {}, at: "" };
  row.name = el("span", { class: "name" });
  row.state = el("span", { class: "tag" });
  row.where = el("span", { class: "soft" });
  row.scope = el("span", {});
  row.held = el("span", { class: "soft" });
  row.fill = el("i");
  row.bar = el("div", { class: "bar", "aria-hidden": "true" }, row.fill);
  row.left = el("span", { class: "left num" });
  row.tools = el("span", { class: "end" });
  row.node = el(
    "li",
    {},
    el("div", {}, el("div", { class: "line" }, row.name, row.state, row.where), el("div", { class: "line" }, row.scope), row.held),
    el("div", {}, row.bar, el("div", { class: "line" }, row.left, row.tools)),
  );
  if (may("switch")) {
    row.disarm = button("Disarm", () => disarm(row));
    row.tools.append(row.disarm);
  }
  rows.set(data.id, row);
  return row;
}

function draw(row) {
  const it = row.data;
  text(row.name, it.name || it.id);
  text(row.where, `${it.account} on ${it.exchange}${it.name ? ` · ${it.id}` : ""} · epoch ${it.epoch}`);
  text(row.scope, scope(it));
  text(row.state, it.state);
  row.state.className = `tag ${{ armed: "good", waiting: "warn", tripped: "bad" }[it.state] ?? ""}`;
  const live = isLive(it);
  row.bar.hidden = !live;
  if (row.disarm) row.disarm.hidden = !live;
  text(row.held, live ? heldText(it) : "");
  if (live) {
    shrink(row);
    drawTime(row);
  } else {
    row.animation?.cancel();
    row.node.className = "";
    text(row.left, it.tripped_ms ? `tripped ${moment(it.tripped_ms)}` : `last heartbeat ${moment(it.beat_ms)}`);
  }
}

function heldText(it) {
  const by = { exchange: "the exchange", workers: "workers", both: "the exchange and workers" }[it.held] ?? it.held;
  const timer = it.exchange_fires_ms ? `; its timer fires ${moment(it.exchange_fires_ms)}` : "";
  return `Held by ${by}: ${it.held_why}${timer}`;
}

// The compositor shrinks the bar; no script runs for a frame.
function shrink(row) {
  const it = row.data;
  const left = Math.max(0, it.deadline_ms - now_ms());
  row.animation?.cancel();
  const from = Math.min(1, left / it.timeout_ms);
  row.animation = row.fill.animate([{ transform: `scaleX(${from})` }, { transform: "scaleX(0)" }], {
    duration: Math.max(1, left),
    fill: "forwards",
  });
}

function drawTime(row) {
  const it = row.data;
  const left = it.deadline_ms - now_ms();
  const at = left < 0 ? "late" : left < RISK * it.timeout_ms ? "risk" : "";
  text(row.left, left < 0 ? `overdue by ${span(-left)}` : `${span(left)} left of ${span(it.timeout_ms)}`);
  if (row.at !== at) {
    row.at = at;
    row.node.className = at;
    orderSoon();
  }
}

// Rows at risk first; others keep their place, so that nothing moves with a heartbeat.
function rank(row) {
  if (!isLive(row.data)) return 3;
  return { late: 0, risk: 1 }[row.at] ?? 2;
}

function order() {
  ordering = false;
  const list = byId("switches");
  const sorted = [...rows.values()].sort(
    (a, b) => rank(a) - rank(b) || (rank(a) === 3 ? b.data.beat_ms - a.data.beat_ms : a.key < b.key ? -1 : 1),
  );
  let ended = 0;
  const shown = sorted.filter((row) => matches(row.data) && (isLive(row.data) || ended++ < SHOWN_ENDED)).map((row) => row.node);
  if (!shown.length) shown.push(el("li", { class: "none" }, wanted ? "No switch matches." : "No switch is armed."));
  const now = list.children;
  if (shown.length !== now.length || shown.some((node, index) => node !== now[index])) {
    const focused = document.activeElement;
    list.replaceChildren(...shown);
    if (list.contains(focused)) focused.focus();
  }
}

function matches(it) {
  if (!wanted) return true;
  const words = [it.name, it.id, it.account, it.exchange, it.state, it.client_id_prefix, ...it.pairs, ...it.order_ids, ...it.client_order_ids];
  return words.some((word) => word?.toLowerCase().includes(wanted));
}

async function disarm(row) {
  const it = row.data;
  const sure = await confirmed({
    title: `Disarm ${it.name || it.id}?`,
    detail: `Its orders (${scope(it)} on ${it.account}) stay open, and nothing cancels them if the strategy falls silent.`,
    action: "Disarm",
    word: "disarm",
  });
  if (sure) {
    await act(row.disarm, async () => {
      await call("DELETE", `/v1/switches/${it.id}?epoch=${it.epoch}`);
      return `${it.name || it.id} is disarmed; its orders stay open.`;
    });
  }
}
