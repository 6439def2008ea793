/**
 * Real `rhumb` processes for tests: started as people start them, watched by what they print and what they tell on
 * `/events`, ended by their own pid.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { RhumbEvent } from "#state/events.ts";
import { childEnv } from "../cli/rhumb.ts";
import { findTool, freePort } from "./tools.ts";

type Context = Pick<TestContext, "after">;
export const projectFolder = join(import.meta.dirname, "../..");

export type Ran = { readonly code: number | null; readonly out: string; readonly err: string };

/** Runs a program to its end. */
export async function run(program: string, args: readonly string[], options: { cwd?: string } = {}): Promise<Ran> {
  const child = spawn(findTool(program) ?? program, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
  let out = "";
  let err = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    err += text;
  });
  const [code] = (await once(child, "close")) as [number | null];
  return { code, out, err };
}

export type RhumbProcess = {
  readonly pid: number;
  out(): string;
  err(): string;
  /** Resolves with the first match in what it printed on either output, or will print. Rejects when it ends first. */
  printed(pattern: RegExp): Promise<RegExpMatchArray>;
  signal(signal: NodeJS.Signals): void;
  /** Resolves when it has ended: its exit code, or null after a signal that it did not handle. */
  readonly ended: Promise<number | null>;
  hasEnded(): boolean;
};

/** Starts `node bin/rhumb WORDS`; killed when the test ends, if it still runs. */
export function startRhumb(
  context: Context,
  words: readonly string[],
  cwd: string,
  env: Record<string, string> = {},
): RhumbProcess {
  const child = spawn(process.execPath, [join(projectFolder, "bin/rhumb"), ...words], {
    cwd,
    env: childEnv(env),
    stdio: ["ignore", "pipe", "pipe"],
  });
  let out = "";
  let err = "";
  const looking = new Set<() => void>();
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out += text;
    for (const look of looking) look();
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    err += text;
    for (const look of looking) look();
  });
  const { promise: ended, resolve } = Promise.withResolvers<number | null>();
  child.once("close", (code) => {
    resolve(code);
    for (const look of looking) look();
  });
  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
  context.after(async () => {
    if (!hasEnded()) child.kill("SIGKILL");
    await ended;
  });
  return {
    pid: child.pid!,
    out: () => out,
    err: () => err,
    printed(pattern) {
      const { promise, resolve: found, reject } = Promise.withResolvers<RegExpMatchArray>();
      const look = (): void => {
        const match = out.match(pattern) ?? err.match(pattern);
        if (match) found(match);
        else if (hasEnded())
          reject(new Error(`rhumb ${words.join(" ")} ended before it printed ${pattern}:\n${out}${err}`));
        else return;
        looking.delete(look);
      };
      looking.add(look);
      look();
      return promise;
    },
    signal: (signal) => child.kill(signal),
    ended,
    hasEnded,
  };
}

/** Of a demo world: DNS, its control API; the balancers' HTTP and control API; two backends. On addresses of 127/8. */
export const freePortsOfDemo = (): Promise<number> => freePort(6);

export type EventStream = {
  readonly seen: readonly RhumbEvent[];
  /** The first event that fits, of those seen already or to come. */
  until(says: string, fits: (event: RhumbEvent) => boolean): Promise<RhumbEvent>;
  close(): void;
};

const EVENT_TIMEOUT_MS = 40_000;

/** Reads `/events` as it is told; everything that the node still remembers comes first. */
export async function followEvents(context: Context, api: string, token: string): Promise<EventStream> {
  const abort = new AbortController();
  const response = await fetch(`${api}/events?after=from-the-start`, {
    headers: { authorization: `Bearer ${token}`, accept: "text/event-stream" },
    signal: abort.signal,
  });
  if (response.status !== 200) throw new Error(`GET /events: ${response.status} ${await response.text()}`);
  const seen: RhumbEvent[] = [];
  const looking = new Set<() => void>();
  let isOver = false;
  const reading = (async () => {
    let buffer = "";
    try {
      for await (const chunk of response.body!.pipeThrough(new TextDecoderStream())) {
        buffer += chunk;
        const frames = buffer.split("\n\n");
        buffer = frames.pop()!;
        for (const frame of frames) {
          const data = /^data: (.*)$/m.exec(frame)?.[1];
          if (data !== undefined && data !== "{}") seen.push(JSON.parse(data) as RhumbEvent);
        }
        for (const look of looking) look();
      }
    } catch {
      // Closed by us, or by a node that went away: whoever waits is told below.
    }
    isOver = true;
    for (const look of looking) look();
  })();
  const close = (): void => abort.abort();
  context.after(async () => {
    close();
    await reading;
  });
  return {
    seen,
    until(says, fits) {
      const { promise, resolve, reject } = Promise.withResolvers<RhumbEvent>();
      const told = (): string => seen.map(({ kind, subject, says }) => `${kind} ${subject}: ${says}`).join("\n");
      const timer = setTimeout(
        () => reject(new Error(`no event "${says}" within ${EVENT_TIMEOUT_MS} ms; told were:\n${told()}`)),
        EVENT_TIMEOUT_MS,
      );
      const look = (): void => {
        const event = seen.find(fits);
        if (event) resolve(event);
        else if (isOver) reject(new Error(`the stream ended before the event "${says}"; told were:\n${told()}`));
      };
      looking.add(look);
      look();
      return promise.finally(() => {
        clearTimeout(timer);
        looking.delete(look);
      });
    },
    close,
  };
}

export type ApiAnswer = { readonly status: number; readonly text: string; readonly json: <T>() => T };
export type Api = (method: string, path: string, body?: unknown) => Promise<ApiAnswer>;

export const apiClient =
  (url: string, token: string): Api =>
  async (method, path, body) => {
    const response = await fetch(`${url}${path}`, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        ...(body === undefined ? {} : { "content-type": "application/json" }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    return { status: response.status, text, json: <T>() => JSON.parse(text) as T };
  };

export type DemoWorld = {
  readonly process: RhumbProcess;
  readonly dnsPort: number;
  readonly httpPort: number;
  readonly apiUrl: string;
  readonly token: string;
  /** Working folder in which `rhumb` finds the token: its `run/` is the world's. */
  readonly folder: string;
  readonly api: Api;
};

/** The demo world on ports of its own, with a run folder of its own. Resolves once it serves. */
export async function startDemoWorld(context: Context): Promise<DemoWorld> {
  const base = await freePortsOfDemo();
  const folder = mkdtempSync(join(tmpdir(), "rhumb-demo-"));
  context.after(() => rmSync(folder, { recursive: true, force: true }));
  const words = ["demo", "--port-base", String(base), "--run", join(folder, "run")];
  const started = startRhumb(context, words, folder);
  await started.printed(/^ap-south /m);
  const token = readFileSync(join(folder, "run/token"), "utf8").trim();
  const apiUrl = `http://127.0.0.1:${base + 1}`;
  return {
    process: started,
    dnsPort: base,
    httpPort: base + 2,
    apiUrl,
    token,
    folder,
    api: apiClient(apiUrl, token),
  };
}

/** Ids of the processes whose parent is `pid`. */
export function childrenOf(pid: number): number[] {
  const tasks = `/proc/${pid}/task/${pid}/children`;
  if (!existsSync(tasks)) return [];
  return readFileSync(tasks, "utf8").trim().split(" ").filter(Boolean).map(Number);
}
