import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type KernelPlan, planKernel, serves } from "#l4/nft/plan.ts";
import { renderRuleset, type Spread } from "#l4/nft/ruleset.ts";
import type { BalancerSnapshot, ListenerSpec, PoolSpec } from "#state/balancer.ts";
import { publish, type StateName } from "../../pool/pool-fixture.ts";
import { stickyBySource } from "../../pool/specs.ts";
import { activeTable, kernelBackend, kernelListener, kernelPool, kernelSnapshot } from "./specs.ts";

const VIP = "192.0.2.1";
const backends = (...weights: number[]) =>
  weights.map((weight, row) => kernelBackend(row, `10.0.0.${row + 1}`, { weight }));
type States = Readonly<Record<number, StateName | readonly [StateName, number]>>;

function plan(pool: PoolSpec, states: States = {}, more: Partial<BalancerSnapshot> = {}): KernelPlan {
  const table = activeTable(pool);
  publish(table, states);
  const snapshot = { ...kernelSnapshot([kernelListener(VIP)], [pool]), ...more };
  return planKernel({ snapshot, table, macOf: () => "02:00:00:00:00:01" });
}
const spreadOf = (pool: PoolSpec, states?: States, more?: Partial<BalancerSnapshot>): Spread =>
  plan(pool, states, more).groups[0]!.spread;
const servingOf = (spread: Spread, size: number): number[] =>
  Array.from({ length: size }, (_, index) => index).filter((index) => serves(spread, index));
function slotsOf(spread: Spread): Uint16Array | Uint32Array {
  assert.ok(spread.kind === "hash");
  return spread.slots;
}

describe("planKernel()", () => {
  for (const { name, pool, states, expected } of [
    {
      name: "weights at random for algorithms that look at connections",
      pool: kernelPool(backends(10, 20, 30), { algorithm: "p2c" }),
      expected: { kind: "random", weights: [1, 2, 3] },
    },
    {
      name: "no weights where the algorithm has none",
      pool: kernelPool(backends(10, 20), { algorithm: "random" }),
      expected: { kind: "random", weights: [1, 1] },
    },
    {
      name: "turns as nginx takes them",
      pool: kernelPool(backends(5, 1, 1), { algorithm: "weighted_round_robin" }),
      expected: { kind: "turns", order: [0, 0, 1, 0, 2, 0, 0] },
    },
    {
      name: "one by one",
      pool: kernelPool(backends(7, 1, 1), { algorithm: "round_robin" }),
      expected: { kind: "turns", order: [0, 1, 2] },
    },
    {
      name: "chance for cycles too long to write",
      pool: kernelPool(backends(997, 991), { algorithm: "weighted_round_robin" }),
      expected: { kind: "random", weights: [997, 991] },
    },
    {
      name: "the first",
      pool: kernelPool(backends(1, 1), { algorithm: "first" }),
      expected: { kind: "single", backend: 0 },
    },
    {
      name: "no hash for a single backend, which the kernel would not take",
      pool: kernelPool(backends(1, 1), { algorithm: "maglev" }),
      states: { 0: "down" },
      expected: { kind: "single", backend: 1 },
    },
    {
      name: "slow start in tenths",
      pool: kernelPool(backends(1, 1), {}),
      states: { 0: ["active", 0.2312] },
      expected: { kind: "random", weights: [1, 5] },
    },
    {
      name: "at least a tenth in slow start",
      pool: kernelPool(backends(1, 1), {}),
      states: { 0: ["active", 0.001] },
      expected: { kind: "random", weights: [1, 10] },
    },
    {
      name: "nobody where all are down and the pool does not fail open",
      pool: kernelPool(backends(1, 1), { isFailOpen: false }),
      states: { 0: "down", 1: "down" },
      expected: { kind: "refuse" },
    },
  ] satisfies readonly { name: string; pool: PoolSpec; states?: States; expected: Spread }[])
    test(`spreads by ${name}`, () => assert.deepEqual(spreadOf(pool, states), expected));

  for (const { name, states, expected, pool = {} } of [
    {
      name: "leaves out who drains, is in maintenance or down",
      states: { 0: "drain", 1: "maint", 2: "down" },
      expected: [3],
    },
    {
      name: "fails open to who is down, not to who drains",
      states: { 0: "drain", 1: "down", 2: "down", 3: "maint" },
      expected: [1, 2],
    },
    {
      name: "ignores health in panic",
      states: { 1: "down", 2: "down", 3: "down" },
      expected: [0, 1, 2, 3],
      pool: { panicPercent: 50 },
    },
  ] satisfies { name: string; states: States; expected: number[]; pool?: Partial<PoolSpec> }[])
    test(`${name}`, () =>
      assert.deepEqual(servingOf(spreadOf(kernelPool(backends(1, 1, 1, 1), pool), states), 4), expected));

  test("goes to the backup tier when nobody of the first serves, and prefers the own zone", () => {
    const [a, b, c] = backends(1, 1, 1);
    const pool = kernelPool(
      [
        { ...a!, zone: "z2" },
        { ...b!, zone: "z1" },
        { ...c!, priority: 1 },
      ],
      { prefersLocalZone: true },
    );
    const here = { zone: "z1" };
    assert.deepEqual(servingOf(spreadOf(pool, {}, here), 3), [1]);
    assert.deepEqual(servingOf(spreadOf(pool, { 1: "down" }, here), 3), [0]);
    assert.deepEqual(servingOf(spreadOf(pool, { 0: "down", 1: "down" }, here), 3), [2]);
  });

  test("hashes clients by their prefix, in whole octets; flows by address and port", () => {
    const hashed = (more: Partial<PoolSpec>): unknown => {
      const { slots: _, ...rest } = spreadOf(kernelPool(backends(1, 1), more)) as Spread & { kind: "hash" };
      return rest;
    };
    const prefix = { hashBits: { v4: 20, v6: 48 } };
    assert.deepEqual(hashed({ algorithm: "ring_hash", ...prefix }), { kind: "hash", octets: 2, withPort: false });
    assert.deepEqual(hashed({ sticky: stickyBySource() }), { kind: "hash", octets: 4, withPort: false });
    assert.deepEqual(hashed({ mode: "nft-dsr", ...prefix }), { kind: "hash", octets: 4, withPort: true });
  });

  test("moves only the slots of a backend that goes, and they come back", () => {
    const pool = kernelPool(backends(1, 2, 3, 1), { algorithm: "maglev" });
    const whole = slotsOf(spreadOf(pool));
    for (const state of ["down", "drain", "maint"] as const) {
      const left = slotsOf(spreadOf(pool, { 2: state }));
      for (const [slot, backend] of whole.entries())
        if (backend === 2) assert.notEqual(left[slot], 2);
        else assert.equal(left[slot], backend, `slot ${slot}`);
    }
    const shares = [0, 1, 3].map((index) => slotsOf(spreadOf(pool, { 2: "down" })).filter((of) => of === index).length);
    assert.ok(Math.abs(shares[1]! / shares[0]! - 2) < 0.1, `${shares}`);
  });

  test("writes the same octets on every node, whatever the order of the configuration", () => {
    const web = kernelPool(backends(1, 2, 3), { algorithm: "maglev" });
    const app = kernelPool(backends(3, 1), { name: "app", algorithm: "weighted_round_robin" });
    const listeners = [kernelListener(VIP), kernelListener("192.0.2.2", { name: "app", pool: 1 })];
    const text = (snapshot: BalancerSnapshot): string => {
      const made = planKernel({ snapshot, table: activeTable(web, app), macOf: () => undefined });
      return renderRuleset({ ...made, nft: snapshot.nft, deviceMac: undefined });
    };
    const one = text(kernelSnapshot(listeners, [web, app]));
    const reversed = [app, web].map((pool) => ({ ...pool, backends: pool.backends.toReversed() }));
    const other = text(
      kernelSnapshot(
        listeners.toReversed().map((spec) => ({ ...spec, pool: 1 - spec.pool! })),
        reversed,
      ),
    );
    assert.equal(one, other);
  });

  test("keeps a table of slots while its pool stays as it is", () => {
    const pool = kernelPool(backends(1, 1), { algorithm: "maglev" });
    const snapshot = kernelSnapshot([kernelListener(VIP)], [pool]);
    const input = { snapshot, table: activeTable(pool), macOf: () => undefined, cache: new Map() };
    const slots = () => slotsOf(planKernel(input).groups[0]!.spread);
    const first = slots();
    assert.equal(slots(), first);
    publish(input.table, { 0: "down" });
    assert.equal(planKernel(input).groups[0]!.spread.kind, "single");
    publish(input.table, { 0: "active" });
    assert.deepEqual(slots(), first);
  });

  test("divides a pool by address family", () => {
    const pool = kernelPool([...backends(1), kernelBackend(1, "2001:db8::1")]);
    const listeners = [kernelListener(VIP), kernelListener("2001:db8:1::1", { name: "web6" })];
    const { groups } = planKernel({
      snapshot: kernelSnapshot(listeners, [pool]),
      table: activeTable(pool),
      macOf: () => undefined,
    });
    assert.deepEqual(
      groups.map(({ name, backends: of }) => [name, of.map(({ address }) => address)]),
      [
        ["web.v4", ["10.0.0.1"]],
        ["web.v6", ["2001:db8::1"]],
      ],
    );
  });

  test("asks for MAC addresses that are not configured, and sends nothing to who has none", () => {
    const [a, b] = backends(1, 1);
    const pool = kernelPool([{ ...a!, mac: "02:00:00:00:00:0a" }, b!], { mode: "nft-dsr" });
    const snapshot = kernelSnapshot([kernelListener(VIP)], [pool]);
    const made = planKernel({ snapshot, table: activeTable(pool), macOf: () => undefined });
    assert.deepEqual(made.askMac, ["10.0.0.2"]);
    assert.deepEqual(made.groups[0]!.spread, { kind: "single", backend: 0 });
  });

  test("knows which flows lead nowhere", () => {
    const gone = (states: States, more: Partial<PoolSpec> = {}): string[] =>
      [...plan(kernelPool(backends(1, 1, 1, 1), more), states).flows.values()]
        .filter(({ isGone }) => isGone)
        .map(({ flows }) => flows.backend);
    assert.deepEqual(gone({ 0: "down", 1: "maint", 2: "drain" }), ["10.0.0.1"]);
    assert.deepEqual(gone({ 0: "down", 1: "down", 2: "down", 3: "down" }), []);
    assert.deepEqual(gone({ 0: "down" }, { mode: "nft-dsr" }), []);
  });

  const dsr: Partial<PoolSpec> = { mode: "nft-dsr" };
  for (const { says, listener = {}, pool = {}, nft = {}, address = VIP, served = 0 } of [
    { says: /kernel cannot do tls/, listener: { protocol: "tls" } },
    { says: /PROXY header/, listener: { proxyProtocol: { trusted: [], timeoutMs: 1 } } },
    { says: /PROXY header/, pool: { proxyProtocol: { version: 2, uniqueId: false, authority: false, crc32c: false } } },
    { says: /needs `balancer.nft.device`/, pool: dsr, nft: { device: undefined } },
    { says: /device lo comes back/, pool: dsr, nft: { device: "lo" } },
    { says: /needs an address, not 0\.0\.0\.0/, pool: dsr, address: "0.0.0.0" },
    { says: /must listen on port 443/, pool: dsr, listener: { listen: { address: VIP, port: 443 } }, served: 1 },
    { says: /no IPv6 backend/, address: "2001:db8::1", served: 1 },
  ] satisfies {
    says: RegExp;
    listener?: Partial<ListenerSpec>;
    pool?: Partial<PoolSpec>;
    nft?: object;
    address?: string;
    served?: number;
  }[])
    test(`says what the kernel cannot do: ${says.source}`, () => {
      const spec = kernelPool(backends(1, 1), pool);
      const made = planKernel({
        snapshot: kernelSnapshot([kernelListener(address, listener)], [spec], nft),
        table: activeTable(spec),
        macOf: () => "02:00:00:00:00:01",
      });
      assert.equal(made.problems.length, 1);
      assert.match(made.problems[0]!, says);
      assert.equal(made.listeners.length, served);
    });

  test("leaves out a second listener of the same stateless backends: their answers would be ambiguous", () => {
    const pool = kernelPool(backends(1, 1), { mode: "nft-stateless" });
    const listeners = [
      kernelListener(VIP),
      kernelListener("192.0.2.2", { name: "also" }),
      kernelListener(VIP, { name: "dns", protocol: "udp" }),
    ];
    const made = planKernel({
      snapshot: kernelSnapshot(listeners, [pool]),
      table: activeTable(pool),
      macOf: () => "02:00:00:00:00:01",
    });
    assert.deepEqual(
      made.listeners.map(({ name }) => name),
      ["dns", "web"],
    );
    assert.match(made.problems[0]!, /Listeners web and also/);
  });
});
