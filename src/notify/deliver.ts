/**
 * One delivery to one notifier: HTTP POST or a program's standard input. Says what came of it, never throws.
 * @module
 */
import { spawn } from "node:child_process";
import { alertsOf, messageOf } from "#notify/message.ts";
import type { RhumbEvent } from "#state/events.ts";
import type { NotifySpec } from "#state/snapshot.ts";

const DELIVERY_TIMEOUT_MS = 10_000;
const MAX_STDERR_OCTETS = 2_048;

export type Delivery = {
  readonly isDelivered: boolean;
  /** False: trying again would give the same. */
  readonly mayRetry: boolean;
  readonly says: string;
};
type Fetch = typeof globalThis.fetch;

/**
 * @param repeatMs how long until the same alarm is told again
 * @param severity of the alarm that the event raises or ends
 */
export async function deliver(
  spec: NotifySpec,
  event: RhumbEvent,
  options: { node: string; severity: "warning" | "alarm"; repeatMs: number; fetch: Fetch; timeoutMs?: number },
): Promise<Delivery> {
  const { node, severity, repeatMs, fetch, timeoutMs = DELIVERY_TIMEOUT_MS } = options;
  switch (spec.kind) {
    case "webhook":
      return post(spec.url, messageOf(event, node), spec.headers, fetch, timeoutMs);
    case "alertmanager":
      return post(
        `${spec.url.replace(/\/+$/, "")}/api/v2/alerts`,
        alertsOf(event, severity, node, repeatMs),
        {},
        fetch,
        timeoutMs,
      );
    case "command":
      return run(spec.command, JSON.stringify(messageOf(event, node)), timeoutMs);
    default:
      return spec satisfies never;
  }
}

async function post(
  url: string,
  body: object,
  headers: Readonly<Record<string, string>>,
  fetch: Fetch,
  timeoutMs: number,
): Promise<Delivery> {
  try {
    const response = await fetch(url, {
      method: "POST",
      headers: { "user-agent": "rhumb", ...headers, "content-type": "application/json" },
      body: JSON.stringify(body),
      redirect: "error", // a redirect would carry our headers, and a token in them, to somebody else
      signal: AbortSignal.timeout(timeoutMs),
    });
    await response.body?.cancel();
    const says = `${response.status} ${response.statusText}`.trim();
    const isTemporary = response.status >= 500 || response.status === 429 || response.status === 408;
    return { isDelivered: response.ok, mayRetry: isTemporary, says };
  } catch (error) {
    return { isDelivered: false, mayRetry: true, says: reasonOf(error) };
  }
}

function reasonOf(error: unknown): string {
  const { cause, message, name } = error as Error;
  if (name === "TimeoutError") return "no answer within the time limit";
  return cause instanceof Error && cause.message !== "" ? cause.message : message;
}

/** No shell: the words of the command are its arguments as they stand. The environment holds PATH alone. */
function run(command: readonly string[], input: string, timeoutMs: number): Promise<Delivery> {
  const { promise, resolve } = Promise.withResolvers<Delivery>();
  const failed = (says: string, mayRetry: boolean): void => resolve({ isDelivered: false, mayRetry, says });
  const child = spawn(command[0]!, command.slice(1), {
    stdio: ["pipe", "ignore", "pipe"],
    env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin" },
    detached: true, // its own process group, so that what it started ends with it
  });
  let stderr = "";
  let isLate = false;
  const kill = setTimeout(() => {
    isLate = true;
    try {
      process.kill(-child.pid!, "SIGKILL");
    } catch {
      child.kill("SIGKILL");
    }
  }, timeoutMs);
  child.stderr.setEncoding("utf8").on("data", (chunk: string) => {
    if (stderr.length < MAX_STDERR_OCTETS) stderr += chunk;
  });
  child.stdin.on("error", () => {}); // it need not read what we say
  child.stdin.end(`${input}\n`);
  child.once("error", (error) => {
    clearTimeout(kill);
    failed(error.message, false);
  });
  child.once("close", (code, signal) => {
    clearTimeout(kill);
    if (isLate) failed(`killed after ${timeoutMs} ms`, true);
    else if (code === 0) resolve({ isDelivered: true, mayRetry: false, says: "exit status 0" });
    else failed(`exit status ${code ?? signal}${stderr.trim() === "" ? "" : `: ${stderr.trim().slice(0, 200)}`}`, true);
  });
  return promise;
}
