// The first line, trips, accounts and the system.

import { act, button, byId, call, el, may, moment, scope, span, text } from "./dom.js";
import { outcomeTag, targetOf } from "./jobs.js";

const REDRAW_MS = 1000;
const trips = new Map();
let last = null;

export function changeStatus(status) {
  last = status;
  verdict(status.problems.length ? "bad" : "good", headline(status.problems), status.problems);
  text(byId("dead-count"), status.dead ? String(status.dead) : "");
  drawTrips(status.trips);
  drawLanes(status.lanes);
  drawLimits(status);
  drawSystem(status);
}

export function unavailable(error) {
  verdict("bad", "Redis does not answer", [`${error}. Pending jobs are safe once Redis is back with its data.`]);
}

/** The state is not known any more. */
export function lost(since_ms) {
  verdict("lost", "No connection to the server", [`What is shown is ${span(since_ms)} old. Connecting again.`]);
}

export function again() {
  if (last) changeStatus(last);
}

const headline = (problems) =>
  problems.length ? `${problems.length} problem${problems.length > 1 ? "s" : ""}` : "No problems found";

function verdict(state, title, lines) {
  document.documentElement.dataset.state = state;
  const box = byId("verdict");
  text(box.querySelector("h1"), title);
  const list = box.querySelector("ul");
  if ([...list.children].map((line) => line.textContent).join("\n") !== lines.join("\n")) {
    list.replaceChildren(...lines.map((line) => el("li", {}, line)));
  }
  document.title = `${title} – cancel-worker`;
  const icon = `/static/${state}.svg`;
  if (!byId("icon").href.endsWith(icon)) byId("icon").href = icon;
}

function drawTrips(found) {
  const seen = new Set(found.map((trip) => trip.id));
  for (const [id, row] of trips) {
    if (!seen.has(id)) {
      row.remove();
      trips.delete(id);
    }
  }
  for (const trip of found) if (!trips.has(trip.id)) trips.set(trip.id, tripRow(trip));
  const box = byId("trips");
  if (!found.length) box.replaceChildren();
  else if (!box.firstChild) box.append(el("h2", {}, "Tripped, not acknowledged"), el("ul", { class: "rows" }));
  const list = box.querySelector("ul");
  found.forEach((trip, index) => {
    const node = trips.get(trip.id);
    if (list.children[index] !== node) list.insertBefore(node, list.children[index] ?? null);
  });
}

function tripRow(trip) {
  const steps = el("ul", { class: "steps" });
  const total = el("p", { role: "status" });
  const box = el("div", { hidden: true }, total, steps);
  const show = button("What it canceled", async () => {
    box.hidden = !box.hidden;
    show.setAttribute("aria-expanded", String(!box.hidden));
    if (!box.hidden) await act(null, () => drawJobs(box, total, steps, trip.id));
  }, { "aria-expanded": "false" });
  const tools = el("div", { class: "tools" }, show);
  if (may("operate")) {
    const seen = button("Acknowledge", () =>
      act(seen, async () => {
        await call("POST", `/v1/switches/${trip.id}/ack`);
        return `${trip.name || trip.id} is acknowledged.`;
      }), { class: "main" });
    tools.append(seen);
  }
  return el(
    "li",
    { class: "trip" },
    el("div", { class: "line" }, el("span", { class: "name" }, trip.name || trip.id), el("span", { class: "tag bad" }, "tripped"),
      el("span", {}, `${trip.account} on ${trip.exchange}`), el("span", { class: "end soft num" }, moment(trip.tripped_ms))),
    el("div", {}, scope(trip)),
    tools,
    box,
  );
}

/** Show what a switch canceled, with the total above it, until all of it has ended. */
async function drawJobs(box, total, steps, id) {
  const jobs = await fill(steps, id);
  text(total, totalOf(jobs));
  const ended = jobs.length > 0 && jobs.every((job) => job.state !== "pending");
  clearTimeout(box.redraw);
  if (!ended && !box.hidden && box.isConnected) {
    box.redraw = setTimeout(() => act(null, () => drawJobs(box, total, steps, id)), REDRAW_MS);
  }
}

/** Say how the jobs of a switch have ended; a scope counts its orders. */
function totalOf(jobs) {
  const sum = { canceled: 0, closed: 0, unproven: 0, pending: 0 };
  for (const job of jobs) {
    if (job.kind === "cancel_all") {
      sum.canceled += job.canceled;
      sum.closed += job.closed;
      sum.unproven += job.unproven;
    }
    if (job.state === "pending") sum.pending += 1;
    else if (job.state === "dead") sum.unproven += 1;
    else if (job.kind !== "cancel_all") sum[job.outcome === "CANCELED" ? "canceled" : "closed"] += 1;
  }
  const words = { canceled: "canceled", closed: "already closed", unproven: "not proven", pending: "under way" };
  const parts = Object.entries(sum).filter(([, count]) => count).map(([name, count]) => `${count} ${words[name]}`);
  if (jobs.some((job) => job.swept)) parts.push("all open orders in one request, of which no reply says how many");
  if (parts.length) return parts.join(", ");
  return jobs.length ? "Nothing was open." : "Not listed yet.";
}

/** List the jobs that follow from a switch or a scope, order by order; return the jobs. */
async function fill(list, parent) {
  const found = [];
  let cursor = "";
  do {
    const page = await call("GET", `/v1/jobs?switch=${parent}&limit=500${cursor && `&cursor=${cursor}`}`);
    found.push(...page.jobs);
    cursor = page.cursor;
  } while (cursor && found.length < 2000);
  found.sort((a, b) => a.created_ms - b.created_ms);
  const rows = [];
  for (const job of found) {
    const below = el("ul", { class: "steps" });
    if (job.kind === "cancel_all") await fill(below, job.id);
    rows.push(el("li", {}, el("div", { class: "line" }, outcomeTag(job), el("span", { class: "name" }, targetOf(job)), el("span", { class: "soft" }, job.detail)), below));
  }
  list.replaceChildren(...rows);
  return found;
}

function drawLanes(lanes) {
  const rows = lanes.map((lane) =>
    el("li", {}, el("div", { class: "line" },
      el("span", { class: "name" }, lane.account),
      el("span", { class: "soft" }, lane.exchange),
      el("span", { class: "num" }, `${lane.pending} pending`),
      el("span", { class: "num" }, `${lane.due} due`),
      lane.due ? el("span", { class: "num" }, `oldest ${span(lane.oldest_due_age_ms)}`) : null,
      el("span", { class: "num" }, `${lane.armed} armed`),
      lane.refused ? el("span", { class: "tag bad" }, `${lane.refused} refused`) : null,
      lane.paused_until_ms ? el("span", { class: "tag warn" }, `paused until ${moment(lane.paused_until_ms)}`) : null)),
  );
  byId("lanes").replaceChildren(...(rows.length ? rows : [el("li", { class: "none" }, "No worker has registered an account.")]));
}

function drawLimits({ limits = [], bans = [] }) {
  const banned = bans.map((it) => el("li", {}, el("div", { class: "line" },
    el("span", { class: "name" }, it.exchange), el("span", { class: "soft" }, it.owner),
    el("span", { class: "tag bad" }, "banned"), el("span", { class: "end num" }, `until ${moment(it.until_ms)}`))));
  const rows = limits.map((it) => {
    const share = Math.min(1, it.used / it.max_requests);
    const fill = el("i");
    fill.style.transform = `scaleX(${share})`;
    return el("li", { class: share >= 1 ? "risk" : null }, el("div", { class: "line" },
      el("span", { class: "name" }, `${it.exchange}: ${it.limit}`), el("span", { class: "soft" }, it.owner),
      el("span", { class: "end num" }, `${it.used} of ${it.max_requests} in ${it.window_ms < 1000 ? `${it.window_ms} ms` : span(it.window_ms)}`)),
      el("div", { class: "bar", "aria-hidden": "true" }, fill));
  });
  byId("limits-box").hidden = !rows.length && !banned.length;
  byId("limits").replaceChildren(...banned, ...rows);
}

function drawSystem(status) {
  const redis = status.redis;
  const facts = [["Workers", status.workers.length ? status.workers.map((each) => each.name).join(", ") : "none"]];
  facts.push(["Celery beat", status.tick_ago_ms === null ? "never seen" : "ticks"]);
  facts.push(["Dead letters", String(status.dead)]);
  if (redis) {
    facts.push(["Redis", `version ${redis.version}`]);
    facts.push(["Durability", `append-only file ${redis.appendonly ? "on" : "OFF"}, ${redis.noeviction ? "no eviction" : "MAY EVICT"}, ${redis.aof_write_ok ? "last write succeeded" : "LAST WRITE FAILED"}`]);
    if (redis.memory_ratio !== null) facts.push(["Memory", `${Math.round(redis.memory_ratio * 100)} % used`]);
  }
  byId("system").replaceChildren(...facts.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)]));
}
