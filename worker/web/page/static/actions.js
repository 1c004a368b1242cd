// What a person can do: cancel one order, all of a scope, or everything.

import { act, boot, byId, call, confirmed, el, may, moment, say, span } from "./dom.js";

export function startActions() {
  const box = byId("act");
  if (!boot.actions) {
    box.append(el("p", {}, "The page may not act. An operator allows it with web.actions = true in the settings."));
    return;
  }
  const cards = el("div", { class: "cards" });
  if (may("cancel")) cards.append(cancelOne(), cancelAll());
  if (may("operate")) cards.append(panic());
  box.append(cards.children.length ? cards : el("p", {}, "Your token lacks the verbs to act."));
}

const field = (label, attributes) => el("label", {}, label, el("input", { autocomplete: "off", ...attributes }));
const accounts = () =>
  el("label", {}, "Account", el("select", { name: "account", required: true }, ...boot.accounts.map((name) => el("option", {}, name))));
const sides = () =>
  el("label", {}, "Side", el("select", { name: "side" }, el("option", { value: "" }, "both"), el("option", {}, "buy"), el("option", {}, "sell")));

const stops = () =>
  el("label", {}, "Stop orders", el("select", { name: "stops" }, el("option", { value: "" }, "cancel too"), el("option", { value: "keep" }, "keep")));

const HOLDS = [60000, 300000, 900000, 3600000];
const holds = () =>
  el("label", {}, "Keep it empty for", el("select", { name: "hold_ms" }, el("option", { value: "" }, "no longer"), ...HOLDS.map((ms) => el("option", { value: ms }, span(ms)))));

function card(title, fields, action, run) {
  const go = el("button", { type: "submit", class: "danger" }, action);
  const form = el("form", { class: "panel" }, el("h3", {}, title), ...fields, go);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const given = Object.fromEntries([...new FormData(form)].filter(([, value]) => value));
    await run(given, go, form);
  });
  return form;
}

function cancelOne() {
  return card("Cancel one order", [accounts(), field("Order id", { name: "order_id", required: true }), field("Pair, if needed", { name: "pair" }), sides()], "Cancel order", async (given, go, form) => {
    const done = await act(go, async () => {
      const job = await call("POST", "/v1/cancels", given, crypto.randomUUID?.());
      follow(job);
      return `Accepted as job ${job.id}.`;
    });
    if (done) form.order_id.value = "";
  });
}

function cancelAll() {
  return card("Cancel all of a scope", [accounts(), field("Pair (empty: the whole account)", { name: "pair" }), sides(), field("Client ids beginning with", { name: "client_id_prefix", maxlength: 256 }), stops(), holds()], "Cancel all…", async (given, go) => {
    if (given.hold_ms) given.hold_ms = Number(given.hold_ms);
    const what = `${given.pair ?? "every pair"}${given.side ? `, ${given.side}` : ""}${given.client_id_prefix ? `, client ids ${given.client_id_prefix}…` : ""} on ${given.account}`;
    const sure = await confirmed({ title: `Cancel all of ${what}?`, detail: `All open orders of this scope${given.stops ? " except stop orders" : ""} are canceled, until the exchange lists none${given.hold_ms ? `; what is placed there for ${span(given.hold_ms)} is canceled too` : ""}.`, action: "Cancel all" });
    if (!sure) return;
    await act(go, async () => {
      const { jobs } = await call("POST", "/v1/cancel-all", given);
      jobs.forEach(follow);
      return `Accepted as ${jobs.length === 1 ? `job ${jobs[0].id}` : `${jobs.length} jobs`}.`;
    });
  });
}

function panic() {
  const every = el("label", {}, "Account", el("select", { name: "account" }, el("option", { value: "" }, "every account"), ...boot.accounts.map((name) => el("option", {}, name))));
  const refused = el("p", { role: "status" });
  return card("Panic", [every, refused], "Cancel everything…", async ({ account }, go) => {
    refused.replaceChildren();
    const sure = await confirmed({ title: `Cancel everything of ${account ?? "every account"}?`, detail: "All open orders are canceled, ahead of all other work.", action: "Cancel everything" });
    if (!sure) return;
    const accounts = account ? [account] : boot.everywhere ? undefined : boot.accounts;
    await act(go, async () => {
      const done = await call("POST", "/v1/panic", { accounts });
      done.jobs.forEach(follow);
      refused.append(Object.entries(done.refused).map(([name, why]) => `${name} was left out: ${why}`).join(" "));
      return `Accepted for ${done.jobs.map((job) => job.account).join(", ")}.`;
    });
  });
}

/** Report the end of an accepted job. */
async function follow(job) {
  try {
    const ended = await call("GET", `/v1/jobs/${job.id}?wait_ms=60000`);
    if (ended.state === "pending") return;
    say(`${ended.outcome} at ${moment(ended.finished_ms)}: ${job.order_id ? `order ${job.order_id}` : "the scope"} on ${job.account}.`);
  } catch {
    // the list of jobs shows it
  }
}
