// Starts the page: views by the address, events from the server, the clock.

import { startActions } from "./actions.js";
import { act, byId, call, clockText, el, moment, setClock, text } from "./dom.js";
import { letters, search, startJobs } from "./jobs.js";
import { again, changeStatus, lost, unavailable } from "./status.js";
import { changeSwitches, startSwitches, tickSwitches } from "./switches.js";

const LOST_MS = 5000; // after a connection was lost
const SILENT_MS = 15000; // an open stream sends at least the time every 4 s
const VIEWS = { now: () => {}, jobs: search, dead: letters, act: () => {}, audit: drawAudit };
let heard = performance.now();
let down = false;

function route() {
  const name = location.hash.slice(1) in VIEWS ? location.hash.slice(1) : "now";
  for (const view of document.querySelectorAll("[data-view]")) view.hidden = view.dataset.view !== name;
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  void VIEWS[name]();
}

async function drawAudit() {
  await act(null, async () => {
    const { entries } = await call("GET", "/v1/audit?limit=200");
    const rows = entries.map((it) =>
      el("li", {}, el("div", { class: "line" },
        el("span", { class: "name" }, it.action), el("span", {}, it.target), el("span", {}, it.account),
        el("span", { class: `tag ${it.status < 400 ? "" : "bad"}` }, it.status < 400 ? "done" : `refused, ${it.status}`),
        el("span", { class: "end soft num" }, moment(it.at_ms))),
        el("div", { class: "soft" }, `${it.who}, by the ${it.via === "api" ? "API" : it.via}, from ${it.source}`)));
    byId("audit").replaceChildren(...(rows.length ? rows : [el("li", { class: "none" }, "Nothing was done yet.")]));
  });
}

function listen() {
  const source = new EventSource("/v1/events");
  const on = (name, run) =>
    source.addEventListener(name, (event) => {
      const data = JSON.parse(event.data);
      if (data.now_ms) {
        setClock(data.now_ms);
        text(byId("clock"), clockText());
      }
      heard = performance.now();
      text(byId("link"), "live");
      run(data);
      if (down && name !== "unavailable") {
        down = false;
        again();
      }
    });
  on("status", changeStatus);
  on("switches", changeSwitches);
  on("unavailable", (data) => unavailable(data.error));
  on("time", () => {});
  source.onerror = async () => {
    text(byId("link"), "connecting again");
    const reply = await fetch("/v1/status").catch(() => null);
    if (reply?.status === 401) location.assign("/login");
    if (source.readyState === EventSource.CLOSED) {
      source.close();
      setTimeout(listen, 1000);
    }
  };
}

setInterval(() => {
  text(byId("clock"), clockText());
  tickSwitches();
  const silent = performance.now() - heard;
  if (silent > (byId("link").textContent === "live" ? SILENT_MS : LOST_MS)) {
    down = true;
    lost(silent);
  }
}, 1000);

startJobs();
startActions();
startSwitches();
addEventListener("hashchange", () => {
  route();
  byId("main").focus();
});
route();
listen();
