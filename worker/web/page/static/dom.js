// Elements, times and calls: what all views share.

export const boot = JSON.parse(document.getElementById("boot").textContent);
export const byId = (id) => document.getElementById(id);
export const may = (verb) => boot.actions && boot.verbs.includes(verb);

/** Make an element. Attributes: `class`, `on` (by event), others as they are; null is left out. */
export function el(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "on") for (const [event, run] of Object.entries(value)) made.addEventListener(event, run);
    else if (name === "class") made.className = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== ""));
  return made;
}

export const button = (text, run, attributes = {}) =>
  el("button", { type: "button", ...attributes, on: { click: run } }, text);

/** Set text only if it differs: the browser then has nothing to lay out. */
export function text(node, value) {
  if (node.textContent !== value) node.textContent = value;
}

const UNITS = [[86400000, "d"], [3600000, "h"], [60000, "min"], [1000, "s"]];
let ahead_ms = 0; // what Redis's clock is ahead of this browser's

export const now_ms = () => Date.now() + ahead_ms;
export function setClock(ms) {
  ahead_ms = ms - Date.now();
}

export function span(ms) {
  const shown = Math.max(0, Math.round(ms / 1000) * 1000);
  for (const [index, [size, unit]] of UNITS.entries()) {
    if (shown >= size) {
      const next = UNITS[index + 1];
      const rest = next ? Math.floor((shown % size) / next[0]) : 0;
      return `${Math.floor(shown / size)} ${unit}${rest ? ` ${rest} ${next[1]}` : ""}`;
    }
  }
  return "0 s";
}

const clockOf = (ms, timeZone) => new Date(ms).toLocaleTimeString("en-GB", timeZone ? { timeZone } : {});
const dayOf = (ms) => new Date(ms).toLocaleDateString("en-CA");

/** A moment in local time and UTC; with its day unless that is today. */
export function moment(ms) {
  if (!ms) return "–";
  const day = dayOf(ms) === dayOf(now_ms()) ? "" : `${dayOf(ms)} `;
  return `${day}${clockOf(ms)} (${clockOf(ms, "UTC")} UTC)`;
}

export const clockText = () => `${clockOf(now_ms())} local, ${clockOf(now_ms(), "UTC")} UTC`;

export const scope = (it) => {
  const parts = [];
  if (it.everything) parts.push("everything");
  if (it.pairs?.length) parts.push(some(it.pairs));
  const orders = it.orders ?? it.order_ids?.length ?? 0;
  if (orders) parts.push(orders > 4 ? `${orders} orders` : `order ${some(it.order_ids)}`);
  if (it.client_order_ids?.length) parts.push(`client id ${some(it.client_order_ids)}`);
  if (it.client_id_prefix) parts.push(`client ids ${it.client_id_prefix}…`);
  return parts.join(", ") || "no orders yet";
};

const some = (names) => (names.length > 4 ? `${names.slice(0, 4).join(", ")} and ${names.length - 4} more` : names.join(", "));

/** Call the API; a refusal is thrown with its text. */
export async function call(method, path, body, key) {
  const headers = {};
  if (method !== "GET") headers["X-CSRF-Token"] = boot.csrf;
  if (body) headers["Content-Type"] = "application/json";
  if (key) headers["Idempotency-Key"] = key;
  const reply = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
  if (reply.status === 401) location.assign("/login");
  const data = reply.status === 204 ? null : await reply.json().catch(() => null);
  if (!reply.ok) throw new Error(data?.detail ?? `HTTP ${reply.status}`);
  return data;
}

let hiding;
/** Show a line for a while, and have it read aloud. */
export function say(line) {
  byId("said").textContent = line;
  clearTimeout(hiding);
  hiding = setTimeout(() => (byId("said").textContent = ""), 6000);
}

/** Ask before an action; with `word`, it must be typed. Resolves to whether to act. */
export function confirmed({ title, detail, action, word }) {
  const dialog = byId("dialog");
  return new Promise((resolve) => {
    const input = word ? el("input", { autocomplete: "off", autocapitalize: "off", spellcheck: "false" }) : null;
    const go = el("button", { type: "submit", class: "danger", disabled: Boolean(word) }, action);
    input?.addEventListener("input", () => (go.disabled = input.value.trim() !== word));
    const form = el(
      "form",
      { method: "dialog" },
      el("h2", { id: "dialog-title", style: null }, title),
      el("p", {}, detail),
      input ? el("label", {}, `Type ${word} to confirm`, input) : null,
      el("div", { class: "tools" }, button("Back", () => dialog.close("no")), go),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      dialog.close("yes");
    });
    dialog.replaceChildren(form);
    dialog.returnValue = "";
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
    dialog.showModal();
  });
}

/** Run an action behind a button: once at a time, its result or refusal shown. */
export async function act(control, run) {
  if (control) control.disabled = true;
  try {
    const line = await run();
    if (line) say(line);
    return true;
  } catch (error) {
    say(`Not done: ${error.message}`);
    return false;
  } finally {
    if (control) control.disabled = false;
  }
}
