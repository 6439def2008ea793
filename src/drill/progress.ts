/**
 * How a drill under way looks on a terminal: one live line per second, and lines for what happens. Pure, but for the writer.
 * @module
 */
import type { LoadSecond } from "#drill/load/protocol.ts";
import { lostOf, requestsOf } from "#drill/measure-requests.ts";

export type Progress = {
  /** Something happened. */
  line(text: string): void;
  /** How it stands now; the next one takes its place where the terminal can do that. */
  tick(text: string): void;
  /** The live line ends. */
  end(): void;
};

export const silentProgress: Progress = { line() {}, tick() {}, end() {} };

/** Without a terminal a line a second would fill logs: the live line is written each so often. */
const PLAIN_EVERY_MS = 10_000;

export function createProgress(
  out: { write(text: string): unknown; readonly isTTY?: boolean; readonly columns?: number },
  nowMs: () => number = Date.now,
): Progress {
  let isLive = false;
  let toldMs = Number.NEGATIVE_INFINITY;
  const end = (): void => {
    if (isLive) out.write("\r\x1b[K");
    isLive = false;
  };
  return {
    line(text) {
      end();
      out.write(`${text}\n`);
    },
    tick(text) {
      if (out.isTTY) {
        out.write(`\r\x1b[K${text.slice(0, (out.columns ?? 100) - 1)}`);
        isLive = true;
      } else if (nowMs() - toldMs >= PLAIN_EVERY_MS) {
        toldMs = nowMs();
        out.write(`${text}\n`);
      }
    },
    end,
  };
}

const busiest = (answers: Readonly<Record<string, number>>): string =>
  Object.entries(answers).sort(([, a], [, b]) => b - a)[0]?.[0] || "nobody";

/** `12 s  NA us-east  EU eu-west  AS ap-south  58 requests/s  0 lost so far  3 regions up` */
export function tickText(
  seconds: readonly LoadSecond[],
  startMs: number,
  nowMs: number,
  regionsUp: number | undefined,
): string {
  const parts = [`${Math.round((nowMs - startMs) / 1_000)} s`];
  const last = Map.groupBy(seconds, ({ continent }) => continent);
  let rate = 0;
  for (const [continent, list] of [...last].sort(([a], [b]) => b.localeCompare(a))) {
    const latest = list.at(-1)!;
    rate += requestsOf(latest);
    const requests = Object.fromEntries(
      Object.entries(latest.http).map(([region, { ok, retried, lost }]) => [region, ok + retried + lost]),
    );
    parts.push(`${continent} ${busiest(requests)}`);
  }
  const lost = seconds.filter(({ atMs }) => atMs >= startMs).reduce((sum, second) => sum + lostOf(second), 0);
  parts.push(`${rate} requests/s`, `${lost} lost so far`);
  if (regionsUp !== undefined) parts.push(`${regionsUp} regions up`);
  return parts.join("  ");
}
