/**
 * The side of the health benchmark that is measured, in a process of its own: the whole health engine.
 * `node bench/lib/health-prober.ts KIND PORT COUNT WARM_SECONDS SECONDS` prints one line of JSON at the end.
 * @module
 */
import { request } from "node:http";
import { systemClock } from "#base/clock.ts";
import { keepHeapTight } from "#base/heap.ts";
import { silentLog } from "#base/log.ts";
import { createHealth } from "#health/engine.ts";
import { NO_PHASES, type StartProbe } from "#health/probes/probe.ts";
import { createHealthTable } from "#state/health-table.ts";
import type { HttpCheck } from "#state/snapshot.ts";
import type { VantageVotes } from "#state/votes.ts";
import { checkFor, snapshotFor, VANTAGES } from "./health-world.ts";

keepHeapTight();
const [kind, port, count, warmSeconds, seconds] = process.argv.slice(2) as [string, string, string, string, string];

/** The obvious way to write the probe, as a yardstick: node:http without an agent. */
const startNodeHttp: StartProbe = (address, check, done) => {
  const http = check as HttpCheck;
  const startedMs = performance.now();
  let isOver = false;
  const finish = (ok: boolean): void => {
    if (isOver) return;
    isOver = true;
    sent.destroy();
    const rttMicros = Math.round((performance.now() - startedMs) * 1_000);
    done({ ok, rttMicros, phases: NO_PHASES, errorClass: ok ? "none" : "status", says: "" });
  };
  const sent = request(
    { host: address, port: http.port, path: http.path, agent: false, headers: { host: http.host ?? address } },
    (response) => {
      response.resume();
      finish(response.statusCode === 200);
    },
  );
  sent.on("error", () => finish(false));
  sent.end();
  return { expire: () => finish(false), cancel: () => sent.destroy() };
};

const total = Number(count);
const health = createHealth({
  table: createHealthTable(total + Math.ceil(total / 100)),
  clock: systemClock,
  rng: Math.random,
  log: silentLog,
  emit: () => {},
  store: { load: () => [], save: () => {} },
  stateFile: undefined,
  ...(kind === "node-http" ? { probes: startNodeHttp } : {}),
});
const others = kind === "votes" ? VANTAGES.slice(1) : [];
health.apply(snapshotFor(checkFor(kind, Number(port)), total, kind === "votes" ? VANTAGES : []));

/** What nodes do with votes, without the way between them: tell all of them every 5 s, as text, and take those of others. */
const VOTES_EVERY_MS = 5_000;
let messages = 0;
let messageOctets = 0;
const send = (votes: VantageVotes): string => {
  const text = JSON.stringify(votes);
  messages++;
  messageOctets += text.length;
  return text;
};
if (others.length > 0) {
  health.onVotes(send);
  const exchange = (): void => {
    const text = send(health.votes());
    for (const [index, vantage] of others.entries())
      systemClock.after(((index + 1) * VOTES_EVERY_MS) / VANTAGES.length, () =>
        health.takeVotes({ ...(JSON.parse(text) as VantageVotes), vantage }),
      );
    systemClock.after(VOTES_EVERY_MS, exchange);
  };
  exchange();
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
await sleep(Number(warmSeconds) * 1_000);
const cpuBefore = process.cpuUsage();
const before = health.stats();
const startedMs = performance.now();
let rssOctets = 0;
while (performance.now() - startedMs < Number(seconds) * 1_000) {
  await sleep(500);
  rssOctets = Math.max(rssOctets, process.memoryUsage.rss());
}
const elapsedMs = performance.now() - startedMs;
const cpu = process.cpuUsage(cpuBefore);
const after = health.stats();
process.stdout.write(
  `${JSON.stringify({
    elapsedMs,
    cpuMicros: cpu.user + cpu.system,
    systemMicros: cpu.system,
    rssOctets,
    finished: after.scheduler.finished - before.scheduler.finished,
    inconclusive: after.scheduler.inconclusive,
    stalls: after.scheduler.stalls,
    up: after.targets.up,
    down: after.targets.down,
    messages,
    messageOctets,
  })}\n`,
);
process.exit(0);
