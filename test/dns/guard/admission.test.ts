import assert from "node:assert/strict";
import test from "node:test";
import { parseIp } from "#base/ip.ts";
import { createSeededRng } from "#base/rng.ts";
import {
  type AdmissionPlan,
  createAdmission,
  fairShares,
  KNOWN_NAME,
  KNOWN_SOURCE,
  nameKey,
  sourceKey,
} from "#dns/guard/admission.ts";
import { type Client, createClient } from "#state/respond.ts";

function clientAt(text: string): Client {
  const client = createClient();
  const bytes = parseIp(text)!;
  client.address.set(bytes);
  client.isIpv6 = bytes.length === 16;
  return client;
}
function queryFor(name: string): Uint8Array {
  const labels = name.split(".").flatMap((label) => [label.length, ...Buffer.from(label)]);
  return Uint8Array.from([0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...labels, 0, 0, 1, 0, 1]);
}
const POSITIVE = Uint8Array.from([0, 1, 0x84, 0, 0, 1, 0, 1, 0, 0, 0, 0]);
const NXDOMAIN = Uint8Array.from([0, 1, 0x84, 3, 0, 1, 0, 0, 0, 1, 0, 0]);

for (const { name, wanted, budget, expected } of [
  { name: "lets all in when there is room", wanted: [10, 0, 5, 1], budget: 100, expected: [1, 1, 1, 1] },
  { name: "makes the flooded class pay", wanted: [900, 50, 0, 100], budget: 250, expected: [100 / 900, 1, 1, 1] },
  {
    name: "divides what is left among the large",
    wanted: [400, 400, 100, 0],
    budget: 300,
    expected: [0.25, 0.25, 1, 1],
  },
]) {
  test(`fairShares() ${name}`, () => {
    const into = new Float64Array(4);
    fairShares(Float64Array.from(wanted), budget, into);
    assert.deepEqual([...into], expected);
  });
}

test("nameKey() folds case, tells names apart, and leaves messages alone that are too short", () => {
  const key = (name: string) => nameKey(queryFor(name), queryFor(name).length);
  assert.equal(key("www.Example.ORG"), key("WWW.eXAMPLE.org"));
  assert.notEqual(key("www.example.org"), key("wwx.example.org"));
  assert.equal(nameKey(queryFor("www.example.org"), 23), -1);
});

test("sourceKey() is one for a /24 and for a /48", () => {
  assert.equal(sourceKey(clientAt("192.0.2.1")), sourceKey(clientAt("192.0.2.254")));
  assert.notEqual(sourceKey(clientAt("192.0.2.1")), sourceKey(clientAt("192.0.3.1")));
  assert.equal(sourceKey(clientAt("2001:db8:1:2::3")), sourceKey(clientAt("2001:db8:1:ffff::4")));
  assert.notEqual(sourceKey(clientAt("2001:db8:1::")), sourceKey(clientAt("2001:db8:2::")));
});

/**
 * A worker that answers 300 queries in 100 ms behind a queue, and a kernel that follows the plan; 20 resolvers that
 * ask for 10 names, 2 queries each a tick. Returns the share of their queries that was let in, tick by tick.
 */
function simulate(ticks: number, floodFrom: number, flood: (index: number) => { from: Client; query: Uint8Array }) {
  const CAPACITY = 300;
  const FLOOD = 3_000;
  const rng = createSeededRng(4);
  const admission = createAdmission({ seed: 5 });
  const resolvers = Array.from({ length: 20 }, (_, index) => clientAt(`198.51.${index}.53`));
  const names = Array.from({ length: 10 }, (_, index) => queryFor(`name${index}.demo.example`));
  let plan: AdmissionPlan | undefined;
  const shares: number[] = [];
  const plans: (AdmissionPlan | "open")[] = [];
  for (let tick = 0; tick < ticks; tick++) {
    const arrivals: { from: Client; query: Uint8Array; isLegitimate: boolean }[] = [];
    for (let index = 0; index < 40; index++) {
      arrivals.push({ from: resolvers[index % 20]!, query: names[(index + tick) % 10]!, isLegitimate: true });
    }
    if (tick >= floodFrom && tick < floodFrom + 60) {
      for (let index = 0; index < FLOOD; index++)
        arrivals.push({ ...flood(tick * FLOOD + index), isLegitimate: false });
    }
    const admitted = arrivals.filter(({ from, query }) => {
      if (!plan) return true;
      const isKnownSource = plan.sources.includes(sourceKey(from));
      const isKnownName = plan.names.includes(nameKey(query, query.length));
      return rng() < plan.shares[(isKnownSource ? KNOWN_SOURCE : 0) | (isKnownName ? KNOWN_NAME : 0)]!;
    });
    const isFull = admitted.length > CAPACITY;
    // A full queue takes at random what it has room for.
    const read = isFull ? admitted.filter(() => rng() < CAPACITY / admitted.length) : admitted;
    for (const { from, query, isLegitimate } of read) {
      const response = isLegitimate || query.length === names[0]!.length ? POSITIVE : NXDOMAIN;
      admission.note(from, query, query.length, response, response.length);
    }
    shares.push(read.filter(({ isLegitimate }) => isLegitimate).length / 40);
    const pressure = {
      dropped: arrivals.length - read.length,
      queueShare: isFull ? 1 : 0,
      busyShare: Math.min(1, read.length / CAPACITY),
    };
    const next = admission.adjust(pressure, 1_000 + tick * 100);
    if (next) plans.push(next);
    if (next === "open") plan = undefined;
    else if (next) plan = next;
  }
  return { shares, plans, isActing: admission.isActing() };
}

const rng = createSeededRng(9);
const octet = () => Math.floor(rng() * 256);
const spoofed = () => {
  const client = createClient();
  client.address.set([octet(), octet(), octet(), octet()]);
  return client;
};
for (const { name, flood } of [
  { name: "spoofed sources", flood: () => ({ from: spoofed(), query: queryFor("name1.demo.example") }) },
  {
    name: "random names through resolvers that are known",
    flood: (index: number) => ({
      from: clientAt(`198.51.${index % 20}.53`),
      query: queryFor(`r${Math.floor(rng() * 2 ** 31).toString(36)}.demo.example`),
    }),
  },
  {
    name: "random names from spoofed sources",
    flood: () => ({ from: spoofed(), query: queryFor(`r${Math.floor(rng() * 2 ** 31).toString(36)}.demo.example`) }),
  },
]) {
  test(`createAdmission() keeps answering known resolvers under ten times the capacity of ${name}`, () => {
    const { shares } = simulate(120, 40, flood);
    assert.ok(
      shares.slice(0, 40).every((share) => share === 1),
      "nobody is kept out before",
    );
    const during = shares.slice(45, 100);
    const answered = during.reduce((total, share) => total + share, 0) / during.length;
    assert.ok(answered > 0.97, `${answered} were let in from half a second on`);
  });
}

test("createAdmission() lets everybody in again two seconds after the flood", () => {
  const { plans, isActing } = simulate(140, 40, () => ({ from: spoofed(), query: queryFor("name1.demo.example") }));
  assert.equal(plans.at(-1), "open");
  assert.equal(plans.filter((plan) => plan === "open").length, 1);
  assert.equal(isActing, false);
});

test("createAdmission() learns neither from negative answers nor from one second alone", () => {
  const { plans } = simulate(46, 40, () => ({ from: spoofed(), query: queryFor("nothing.demo.example") }));
  const plan = plans[0];
  assert.ok(plan && plan !== "open");
  assert.equal(plan.sources.length, 20);
  assert.equal(plan.names.length, 10);
});
