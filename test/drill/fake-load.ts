/**
 * A load process that knows no network: ready at once, and each 100 ms what a client would have seen, as its order's name
 * says: `lossy` loses all requests, `dying` ends by itself, `babbling` says what is not JSON, `mute` is never ready.
 */
import { createInterface } from "node:readline";
import type { LoadLine, LoadSpec } from "#drill/load/protocol.ts";

const say = (line: LoadLine): void => void process.stdout.write(`${JSON.stringify(line)}\n`);

const lines = createInterface({ input: process.stdin });
const first = await new Promise<string>((resolve) => lines.once("line", resolve));
const { name, place, watch } = JSON.parse(first) as LoadSpec;
const { continent } = place;
const answer = {
  kind: "answer",
  continent,
  regions: ["eu-west"],
  ttl: 5,
  rcode: "NOERROR",
  addresses: ["127.0.12.1"],
} as const;
for (const { node } of watch) say({ ...answer, atMs: Date.now(), node });
if (name !== "mute") say({ kind: "ready", atMs: Date.now(), continent });
if (name === "babbling") process.stdout.write("what?\n");
if (name === "dying")
  setTimeout(() => {
    process.stderr.write("out of luck\n");
    process.exit(3);
  }, 300);

let toldMs = Math.floor(Date.now() / 1_000) * 1_000;
function tell(untilMs: number): void {
  while (toldMs + 1_000 <= untilMs) {
    const outcome = name === "lossy" ? { ok: 0, retried: 0, lost: 30 } : { ok: 30, retried: 0, lost: 0 };
    say({
      kind: "second",
      atMs: toldMs,
      continent,
      dns: { queries: 10, lost: 0, answers: { "eu-west": 10 }, p50Micros: 500, p99Micros: 900 },
      http: { "eu-west": outcome },
      httpP50Ms: 10,
      httpP99Ms: 20,
      ttlAge: { meanMs: 1_000, mostMs: 2_000 },
      anycast: {},
      late: 0,
    });
    toldMs += 1_000;
  }
}
const timer = setInterval(() => tell(Date.now()), 50);
lines.once("close", () => {
  clearInterval(timer);
  tell(Date.now() + 999); // the second that is under way, too
});
