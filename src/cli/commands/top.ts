/** `rhumb top`: what a balancer does now, live. @module */
import type { Command } from "commander";
import { parseDurationMs } from "#base/units.ts";
import { type ApiOptions, apiCommand, clientFor, wrongUse } from "#cli/command.ts";
import { say, sayJson } from "#cli/output.ts";
import { type Reading, SORTS, type Sort, type TopStats, topPage } from "#cli/top-page.ts";

const ENTER_SCREEN = "\x1b[?1049h\x1b[?25l";
const LEAVE_SCREEN = "\x1b[?25h\x1b[?1049l";
const HOME_AND_CLEAR = "\x1b[H\x1b[2J";
/** Of the page, beside backends. */
const OTHER_LINES = 10;
/** Of terminals that do not say how many they have. */
const ROWS = 40;
const MIN_INTERVAL_MS = 200;

type TopOptions = ApiOptions & { interval: string; sort: string; once?: boolean };

export function topCommand(): Command {
  return apiCommand("top", "requests, errors and latencies of a balancer, live; q ends it", "rhumb top --sort p99")
    .option("--interval <time>", "between two readings", "1s")
    .option("--sort <by>", SORTS.join(", "), "name")
    .option("--once", "print one page of two readings, and end")
    .action(async (options: TopOptions) => {
      const intervalMs = parseDurationMs(options.interval);
      if (intervalMs === undefined || intervalMs < MIN_INTERVAL_MS)
        wrongUse(`--interval must be a time of at least ${MIN_INTERVAL_MS}ms, such as 1s, not ${options.interval}`);
      const sort = SORTS.find((one) => one === options.sort);
      if (sort === undefined) wrongUse(`--sort must be one of ${SORTS.join(", ")}, not ${options.sort}`);
      const client = clientFor(options);
      const read = async (): Promise<Reading> => ({
        stats: (await client.call("GET", "/stats")) as TopStats,
        atMs: performance.now(),
      });
      if (options.json) return sayJson((await read()).stats);
      if (options.once || !process.stdout.isTTY) return showOnce(read, intervalMs!, sort!);
      await showLive(read, intervalMs!, sort!);
    });
}

const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function showOnce(read: () => Promise<Reading>, intervalMs: number, sort: Sort): Promise<void> {
  const before = await read();
  await wait(intervalMs);
  say(topPage(await read(), before, sort, Number.POSITIVE_INFINITY));
}

async function showLive(read: () => Promise<Reading>, intervalMs: number, first: Sort): Promise<void> {
  let sort = first;
  let before: Reading | undefined;
  let now = await read();
  const { stdin, stdout } = process;
  const show = (): void => {
    const keys = "s: sort by the next column   q: end";
    stdout.write(
      `${HOME_AND_CLEAR}${topPage(now, before, sort, (stdout.rows || ROWS) - OTHER_LINES - now.stats.listeners.length)}\n\n${keys}`,
    );
  };
  const { promise: ended, resolve: end } = Promise.withResolvers<void>();
  stdout.write(ENTER_SCREEN);
  if (stdin.isTTY) stdin.setRawMode(true);
  stdin.on("data", (key: Buffer) => {
    const pressed = key.toString();
    if (pressed === "q" || pressed === "\x03") end();
    if (pressed !== "s") return;
    sort = SORTS[(SORTS.indexOf(sort) + 1) % SORTS.length]!;
    show();
  });
  let fault: unknown;
  let isOver = false;
  void ended.then(() => {
    isOver = true;
  });
  const refresh = async (): Promise<void> => {
    while (!isOver) {
      show();
      await wait(intervalMs);
      if (isOver) return;
      [before, now] = [now, await read()];
    }
  };
  await Promise.race([
    ended,
    refresh().catch((error: unknown) => {
      fault = error;
    }),
  ]);
  isOver = true;
  stdout.write(LEAVE_SCREEN);
  if (stdin.isTTY) stdin.setRawMode(false);
  stdin.pause();
  if (fault !== undefined) throw fault;
}
