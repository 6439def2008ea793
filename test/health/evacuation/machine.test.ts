/** Each step of an evacuation by what is known of the nodes: what ends it, what it waits for, and what follows. */
import assert from "node:assert/strict";
import test from "node:test";
import { returnRegion } from "#health/evacuation/commands.ts";
import { type EvacuationFacts, SILENT_MS, stepEvacuation } from "#health/evacuation/machine.ts";
import { termsOf } from "#health/evacuation/terms.ts";
import type { Evacuation } from "#state/evacuation.ts";
import { advertiser, begun, facts, node, START_MS } from "./bed.ts";

const terms = termsOf({}, 30, true);
const forced = { ...terms, isForced: true };
const silent = node("ns2", { isAlive: false, hasApplied: false });
const mute = node("ns2", { hasApplied: false });

type Case = {
  readonly name: string;
  readonly now: Partial<Evacuation>;
  readonly seconds?: number;
  readonly facts?: Partial<EvacuationFacts>;
  /** What changes; nothing where it waits. */
  readonly becomes?: Partial<Evacuation>;
  readonly says: RegExp;
};
const CASES: readonly Case[] = [
  { name: "holds a weight for its time", now: {}, seconds: 29, says: /Weight 50 % for 30s/ },
  { name: "takes the next weight after that", now: {}, seconds: 30, becomes: { weight: 0 }, says: /Weight 0 %/ },
  {
    name: "waits for a DNS node that lives and does not say that it applies it, for however long",
    now: { weight: 0 },
    seconds: 3_600,
    facts: { dns: [node("ns1"), mute] },
    says: /waits for ns2 to say/,
  },
  {
    name: "goes on without it when an operator says so, after the time of a silent one",
    now: { weight: 0, terms: forced },
    seconds: 30,
    facts: { dns: [node("ns1"), mute] },
    becomes: { step: "tail" },
    says: /without the word of ns2/,
  },
  {
    name: "waits for a silent DNS node, and names it",
    now: { weight: 0 },
    seconds: 29,
    facts: { dns: [node("ns1"), silent] },
    says: /silent: ns2/,
  },
  {
    name: "goes on without a silent DNS node when its time is over",
    now: { weight: 0 },
    seconds: 30,
    facts: { dns: [node("ns1"), silent] },
    becomes: { step: "tail" },
    says: /without the word of ns2/,
  },
  {
    name: "does not wait for a silent one by force",
    now: { weight: 0, terms: forced },
    facts: { dns: [node("ns1"), silent] },
    becomes: { step: "tail" },
    says: /without the word of ns2/,
  },
  {
    name: "does not wait for a node that applied it and died since",
    now: { weight: 0 },
    facts: { dns: [node("ns1"), node("ns2", { isAlive: false })] },
    becomes: { step: "tail" },
    says: /nobody new/,
  },
  {
    name: "goes on to the tail when all give it to nobody",
    now: { weight: 0 },
    becomes: { step: "tail" },
    says: /All DNS/,
  },
  { name: "waits while requests are left", now: { step: "tail" }, facts: { nowRps: 1 }, says: /^1 % of its requests/ },
  {
    name: "goes on when the tail is short enough",
    now: { step: "tail" },
    facts: { nowRps: 0.9 },
    becomes: { step: "balancer" },
    says: /0\.9 %/,
  },
  {
    name: "goes on when the tail's time is over",
    now: { step: "tail" },
    seconds: 300,
    becomes: { step: "balancer" },
    says: /the time for them is over/,
  },
  {
    name: "waits for the tail's whole time where nobody reports",
    now: { step: "tail" },
    seconds: 299,
    facts: { nowRps: null },
    says: /Nobody reports/,
  },
  {
    name: "has no tail where there were no requests, and are none",
    now: { step: "tail", startRps: 0 },
    facts: { nowRps: 0 },
    becomes: { step: "balancer" },
    says: /^0 %/,
  },
  { name: "waits for what is under way", now: { step: "balancer" }, says: /3 requests and connections/ },
  {
    name: "waits for a balancer that has not said that it drains, although nothing is under way",
    now: { step: "balancer" },
    facts: { inFlight: 0, balancers: [node("lb1", { hasApplied: false })] },
    says: /waits for lb1/,
  },
  {
    name: "withdraws when nothing is under way",
    now: { step: "balancer" },
    facts: { inFlight: 0 },
    becomes: { step: "withdraw" },
    says: /nothing under way/,
  },
  {
    name: "is done then where there is no prefix",
    now: { step: "balancer", terms: { ...terms, withdraws: false } },
    facts: { inFlight: 0 },
    becomes: { step: "evacuated" },
    says: /nothing under way/,
  },
  {
    name: "withdraws when the time of those under way is over",
    now: { step: "balancer" },
    seconds: 120,
    becomes: { step: "withdraw" },
    says: /3 under way, and the time for them is over/,
  },
  {
    name: "does not take silence for nothing under way",
    now: { step: "balancer" },
    seconds: 29,
    facts: { inFlight: null },
    says: /unknown number/,
  },
  {
    name: "has nobody to drain where no balancer is known",
    now: { step: "balancer" },
    facts: { balancers: [], inFlight: null },
    becomes: { step: "withdraw" },
    says: /No balancer/,
  },
  { name: "waits until prefixes are withdrawn", now: { step: "withdraw" }, says: /Waits for lb1 to withdraw/ },
  {
    name: "is evacuated when they are",
    now: { step: "withdraw" },
    facts: { advertisers: [advertiser("lb1", { isAnnouncing: false })] },
    becomes: { step: "evacuated" },
    says: /are withdrawn/,
  },
  {
    name: "stands where a withdrawal is refused, and says why",
    now: { step: "withdraw" },
    facts: { advertisers: [advertiser("lb1", { refusal: "nobody else announces it" })] },
    becomes: { isStopped: true },
    says: /lb1 does not withdraw: nobody else/,
  },
  {
    name: "does not believe a refusal of before",
    now: { step: "withdraw" },
    facts: { advertisers: [advertiser("lb1", { refusal: "nobody else announces it", hasApplied: false })] },
    says: /waits for lb1/,
  },
  {
    name: "leaves refused prefixes announced by force",
    now: { step: "withdraw", terms: forced },
    facts: { advertisers: [advertiser("lb1", { refusal: "nobody else announces it" })] },
    becomes: { step: "evacuated", terms: { ...forced, withdraws: false } },
    says: /prefixes stay/,
  },
  {
    name: "stands where a prefix is still announced when the time is over",
    now: { step: "withdraw" },
    seconds: 120,
    becomes: { isStopped: true },
    says: /still announces/,
  },
  {
    name: "is left, whatever its health",
    now: { weight: 0 },
    facts: { isHealthy: false },
    becomes: { step: "tail" },
    says: /All DNS/,
  },
  { name: "stays evacuated", now: { step: "evacuated" }, seconds: 86_400, says: /is evacuated/ },
  {
    name: "does nothing while it is stopped",
    now: { isStopped: true, weight: 0 },
    seconds: 3_600,
    says: /resume or return/,
  },
  {
    name: "on the way back waits for prefixes to be announced",
    now: { direction: "return", step: "withdraw", weight: 0 },
    facts: { advertisers: [advertiser("lb1", { isAnnouncing: false })] },
    says: /Waits for lb1 to announce/,
  },
  {
    name: "on the way back has balancers keep their clients when prefixes are announced",
    now: { direction: "return", step: "withdraw", weight: 0 },
    becomes: { step: "balancer" },
    says: /are announced/,
  },
  {
    name: "comes back without a prefix whose time is over",
    now: { direction: "return", step: "withdraw", weight: 0 },
    seconds: 120,
    facts: { advertisers: [advertiser("lb1", { isAnnouncing: false })] },
    becomes: { step: "balancer" },
    says: /all the same/,
  },
  {
    name: "gives it no client while a balancer drains",
    now: { direction: "return", step: "balancer", weight: 0 },
    seconds: 3_600,
    facts: { balancers: [node("lb1", { hasApplied: false })] },
    says: /waits for lb1/,
  },
  {
    name: "begins the ramp at once",
    now: { direction: "return", step: "weight", weight: 0 },
    becomes: { weight: 10 },
    says: /Weight 10 %/,
  },
  {
    name: "holds a step of the ramp for its time",
    now: { direction: "return", step: "weight", weight: 10 },
    seconds: 29,
    says: /Weight 10 % for 30s/,
  },
  {
    name: "climbs",
    now: { direction: "return", step: "weight", weight: 10 },
    seconds: 30,
    becomes: { weight: 25 },
    says: /Weight 25 %/,
  },
  {
    name: "serves at the end of the ramp",
    now: { direction: "return", step: "weight", weight: 50 },
    seconds: 30,
    becomes: { step: "serving", weight: 100 },
    says: /serves all/,
  },
  {
    name: "does not begin the ramp while its health checks fail",
    now: { direction: "return", step: "weight", weight: 0 },
    seconds: 3_600,
    facts: { isHealthy: false },
    says: /Waits for its health checks/,
  },
  {
    name: "goes back to weight 0 and stands where its health checks fail on the ramp",
    now: { direction: "return", step: "weight", weight: 25 },
    facts: { isHealthy: false },
    becomes: { weight: 0, isStopped: true },
    says: /back to weight 0/,
  },
];
for (const { name, now, seconds = 1, facts: known, becomes, says } of CASES)
  test(`stepEvacuation() ${name}`, () => {
    const before = begun(now);
    const nowMs = START_MS + seconds * 1_000;
    const stepped = stepEvacuation(before, facts(known), nowMs);
    assert.match(stepped.says, says);
    if (becomes === undefined) return assert.equal(stepped.next, before);
    const { history, stepAtMs, zeroAtMs: _, ...next } = stepped.next;
    const { history: _history, stepAtMs: _stepAtMs, zeroAtMs: _zeroAtMs, ...unchanged } = before;
    assert.deepEqual(next, { ...unchanged, ...becomes });
    assert.equal(stepAtMs, nowMs);
    assert.equal(history.length, before.history.length + 1);
    assert.match(history.at(-1)!.says, says);
  });

test("stepEvacuation() measures the drain curve at its points, from weight 0 on, and also when it is evacuated", () => {
  let now = begun({ step: "evacuated", weight: 0, zeroAtMs: START_MS });
  for (let second = 0; second <= 1_000; second++)
    now = stepEvacuation(now, facts({ nowRps: 100 - second / 10 }), START_MS + second * 1_000).next;
  assert.deepEqual(
    now.curve.map(({ afterSeconds, share }) => [afterSeconds, Math.round(share * 1_000)]),
    [
      [30, 970],
      [60, 940],
      [120, 880],
      [300, 700],
      [900, 100],
    ],
  );
});

test("stepEvacuation() measures nothing on the way back", () => {
  const now = returnRegion(begun({ step: "tail", weight: 0, zeroAtMs: START_MS }), {
    owner: "kim",
    leader: "ns1",
    nowMs: START_MS,
  });
  assert.deepEqual(stepEvacuation(now, facts({ isHealthy: false }), START_MS + 60_000).next.curve, []);
});

test("a silent node is waited for as long as its heartbeat and two more could be late", () =>
  assert.equal(SILENT_MS, 30_000));
