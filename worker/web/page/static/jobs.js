// Jobs: search, one job's history, and the dead letters.

import { act, boot, button, byId, call, confirmed, el, may, moment, now_ms, span, text } from "./dom.js";

const PAGES = 10; // requests that one search makes at most before it asks for more
const TONES = { CANCELED: "good", GONE: "good", done: "good", dead: "bad", pending: "warn" };
let query = "";
let cursor = null;

export function outcomeTag(job) {
  const shown = job.state === "done" ? job.outcome : job.state;
  return el("span", { class: `tag ${TONES[shown] ?? ""}` }, shown);
}

export const targetOf = (job) => {
  if (job.kind === "cancel_all") {
    const counts = job.canceled || job.closed || job.unproven ? ` (${job.canceled} canceled, ${job.closed} closed, ${job.unproven} unproven)` : "";
    return `all of ${job.pair ?? "the account"}${job.side ? `, ${job.side}` : ""}${counts}`;
  }
  if (job.client_order_id) return `client id ${job.client_order_id}`;
  return job.order_id ? `order ${job.order_id}` : job.kind;
};

function jobRow(job, ...tools) {
  if (job.state === "pending" && job.hold_until_ms > now_ms() && may("cancel")) tools.push(endHold(job));
  return el(
    "li",
    {},
    el("div", { class: "line" }, outcomeTag(job), el("span", { class: "name" }, targetOf(job)),
      el("span", {}, job.account ? `${job.account} on ${job.exchange}` : "no account"),
      el("span", { class: "end soft num" }, `${span(now_ms() - job.created_ms)} ago`)),
    el("div", { class: "line" }, el("span", { class: "soft" }, [job.outcome && job.state !== "done" ? `${job.outcome}:` : "", job.detail, `${job.attempts} attempt${job.attempts === 1 ? "" : "s"}`].filter(Boolean).join(" · ")),
      el("div", { class: "tools" }, ...tools, button("History", () => act(null, () => history(job.id))))),
  );
}

function endHold(job) {
  const end = button("End hold", () => act(end, async () => {
    await call("DELETE", `/v1/holds/${job.id}`);
    end.remove();
    return `The hold of ${targetOf(job)} on ${job.account} has ended.`;
  }));
  return end;
}

async function history(id) {
  const job = await call("GET", `/v1/jobs/${id}`);
  const facts = [
    ["Job", job.id], ["State", job.state], ["Outcome", job.outcome ?? "–"], ["Account", `${job.account ?? "–"} on ${job.exchange ?? "–"}`],
    ["Pair", job.pair ?? "–"], ["Accepted", moment(job.created_ms)], ["Ended", moment(job.finished_ms)], ["Follows from", job.parent ?? "–"],
  ];
  const steps = job.history.map((it) =>
    el("li", {}, el("div", { class: "line" }, el("span", { class: "num" }, `${it.n}.`), el("span", { class: "tag" }, it.outcome || "–"),
      el("span", {}, it.phase ?? ""), el("span", { class: "end soft num" }, moment(it.at_ms))), el("div", { class: "soft" }, it.detail ?? "")));
  const dialog = byId("dialog");
  dialog.replaceChildren(
    el("h2", { id: "dialog-title" }, targetOf(job)),
    el("dl", {}, ...facts.flatMap(([name, value]) => [el("dt", {}, name), el("dd", {}, value)])),
    el("h2", {}, "Attempts"),
    el("ul", { class: "steps" }, ...(steps.length ? steps : [el("li", { class: "soft" }, "None yet.")])),
    job.raw ? el("pre", {}, job.raw) : null,
    el("div", { class: "tools" }, button("Close", () => dialog.close())),
  );
  dialog.showModal();
}

export function startJobs() {
  const form = byId("search");
  for (const account of ["", ...boot.accounts]) form.account.append(el("option", { value: account }, account || "any"));
  for (const outcome of ["", ...boot.outcomes]) form.outcome.append(el("option", { value: outcome }, outcome || "any"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    void search();
  });
  byId("jobs-more").addEventListener("click", () => void more());
  byId("dead-more").addEventListener("click", () => void moreLetters());
}

export async function search() {
  const form = new FormData(byId("search"));
  const age = form.get("age");
  form.delete("age");
  const wanted = new URLSearchParams([...form].filter(([, value]) => value));
  if (age) wanted.set("newer_than", String(Math.round(now_ms() - Number(age))));
  query = wanted.toString();
  cursor = null;
  byId("jobs").replaceChildren();
  await more();
}

async function more() {
  const list = byId("jobs");
  await act(byId("jobs-more"), async () => {
    let found = 0;
    for (let page = 0; page < PAGES && found < 50; page++) {
      const got = await call("GET", `/v1/jobs?limit=50&${query}${cursor ? `&cursor=${cursor}` : ""}`);
      list.append(...got.jobs.map((job) => jobRow(job)));
      found += got.jobs.length;
      cursor = got.cursor;
      if (!cursor) break;
    }
    byId("jobs-more").hidden = !cursor;
    text(byId("jobs-found"), list.children.length ? `${list.children.length} shown${cursor ? "; there may be more" : ""}` : cursor ? "None yet; look further with More." : "No job matches.");
  });
}

let skip = null;
const chosen = new Set();

export async function letters() {
  skip = null;
  chosen.clear();
  byId("dead").replaceChildren();
  await moreLetters();
}

async function moreLetters() {
  await act(byId("dead-more"), async () => {
    const page = await call("GET", `/v1/dead-letters?limit=100${skip ? `&cursor=${skip}` : ""}`);
    byId("dead").append(...page.jobs.map(letterRow));
    skip = page.cursor;
    byId("dead-more").hidden = !skip;
    if (!byId("dead").children.length) byId("dead").append(el("li", { class: "none" }, "There are none."));
    drawTools();
  });
}

function letterRow(job) {
  if (!may("operate")) return jobRow(job);
  const pick = el("input", { type: "checkbox", on: { change: () => {
    if (pick.checked) chosen.add(job.id);
    else chosen.delete(job.id);
    drawTools();
  } } });
  const node = jobRow(job, el("label", { class: "check" }, pick, "Choose"));
  node.dataset.id = job.id;
  return node;
}

function drawTools() {
  if (!may("operate")) return;
  const count = chosen.size;
  const all = button("Choose all shown", () => {
    for (const box of byId("dead").querySelectorAll("input[type=checkbox]")) if (!box.checked) box.click();
  });
  const replay = button(`Replay ${count}`, () => each(replay, "Replayed", (id) => call("POST", `/v1/dead-letters/${id}/replay`)), { class: "main", disabled: !count });
  const discard = button(`Discard ${count}`, async () => {
    const sure = await confirmed({ title: `Discard ${count} dead letter${count === 1 ? "" : "s"}?`, detail: "Their orders may still be open, and nothing cancels them afterwards.", action: "Discard" });
    if (sure) await each(discard, "Discarded", (id) => call("DELETE", `/v1/dead-letters/${id}`));
  }, { class: "danger", disabled: !count });
  byId("dead-tools").replaceChildren(all, replay, discard);
}

async function each(control, done, run) {
  await act(control, async () => {
    const ids = [...chosen];
    const failed = [];
    for (const id of ids) {
      try {
        await run(id);
      } catch (error) {
        failed.push(error.message);
      }
    }
    await letters();
    return failed.length ? `${done} ${ids.length - failed.length}; ${failed.length} not: ${failed[0]}` : `${done} ${ids.length}.`;
  });
}
