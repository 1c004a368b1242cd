// A strategy in TypeScript on the HTTP API: a dead man's switch for its orders, and a cancel with proof.
//
//   CANCEL_WORKER_TOKEN=… node ops/examples/strategy.mts ACCOUNT ORDER_ID …     (Node 22.18 or newer; deno, bun)
//
// It guards the orders until it reads the line "done", cancels the first one then, and disarms.
// If it is killed, or hangs, workers cancel all of them at the deadline.

import { setTimeout as sleep } from "node:timers/promises";
import { createInterface } from "node:readline";

interface Armed {
  id: string;
  epoch: number;
  deadline_ms: number;
  held: "exchange" | "workers" | "both";
  held_why: string;
  beat_url: string;
}

interface Accepted {
  id: string;
  account: string;
  order_id: string | null;
  client_order_id: string | null;
  state: "pending";
  fresh: boolean;
}

interface Job {
  id: string;
  state: "pending" | "done" | "dead";
  outcome: string | null;
  attempts: number;
  detail: string;
}

/** A refusal: `type` is for programs, the message for people. */
class Problem extends Error {
  readonly type: string;
  readonly status: number;

  constructor(type: string, status: number, detail: string) {
    super(detail);
    this.type = type;
    this.status = status;
  }
}

const BASE = process.env.CANCEL_WORKER_URL ?? "http://127.0.0.1:9480";
const TOKEN = process.env.CANCEL_WORKER_TOKEN;
const TIMEOUT_MS = Number(process.env.TIMEOUT_MS ?? 30_000);
const BEATS = 4; // heartbeats in one timeout

/** Call the API. Throws `Problem` if it refuses. */
async function call<T>(method: string, path: string, body?: object, key?: string): Promise<T> {
  const headers: Record<string, string> = { Authorization: `Bearer ${TOKEN}` };
  if (body) headers["Content-Type"] = "application/json";
  if (key) headers["Idempotency-Key"] = key;
  const reply = await fetch(BASE + path, {
    method,
    headers,
    body: body ? JSON.stringify(body) : undefined,
    signal: AbortSignal.timeout(70_000),
  });
  if (reply.ok) return (reply.status === 204 ? undefined : await reply.json()) as T;
  const { type, detail } = (await reply.json()) as { type: string; detail: string };
  throw new Problem(type, reply.status, detail);
}

/** Repeat a call that may have been lost on its way; only where a repetition is safe. */
async function surely<T>(run: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await run();
    } catch (error) {
      if (error instanceof Problem && error.status !== 503) throw error;
      console.error(`again in 1 s: ${error}`);
      await sleep(1_000);
    }
  }
}

/** Send heartbeats until stopped. A heartbeat that fails is followed by the next one. */
async function keepBeating(held: Armed, stop: AbortSignal): Promise<void> {
  while (!stop.aborted) {
    try {
      await call("POST", `/v1/switches/${held.id}/beat`, { epoch: held.epoch });
    } catch (error) {
      const ended = error instanceof Problem && [404, 409].includes(error.status);
      if (ended) throw error; // tripped, replaced, disarmed
      console.error(`heartbeat: ${error}`);
    }
    await sleep(TIMEOUT_MS / BEATS, undefined, { signal: stop }).catch(() => {});
  }
}

const [account, ...orders] = process.argv.slice(2);
if (!TOKEN || !account || !orders.length) {
  console.error("usage: CANCEL_WORKER_TOKEN=… node strategy.mts ACCOUNT ORDER_ID …");
  process.exit(2);
}

const arming = crypto.randomUUID();
const scope = { account, order_ids: orders, timeout_ms: TIMEOUT_MS, clear_wait_ms: 10_000 };
const held = await surely(() => call<Armed>("POST", "/v1/switches", scope, arming));
console.log(`armed ${held.id}, held by ${held.held}`);

const stopping = new AbortController();
const beating = keepBeating(held, stopping.signal);

for await (const line of createInterface({ input: process.stdin })) {
  if (line === "done") break;
}
const [first] = orders;
const job = await surely(() => call<Accepted>("POST", "/v1/cancels", { account, order_id: first }));
const ended = await surely(() => call<Job>("GET", `/v1/jobs/${job.id}?wait_ms=60000`));
console.log(`${first}: ${ended.state} ${ended.outcome}`);

stopping.abort();
await beating;
await surely(() => call<void>("DELETE", `/v1/switches/${held.id}?epoch=${held.epoch}`));
console.log("disarmed");
process.exit(ended.state === "done" ? 0 : 1);
