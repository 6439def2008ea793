/** Kernel mode for real: a client, a balancer and three backends in network namespaces, every mode, both families. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { systemClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { createNft, type Nft } from "#l4/nft/create-nft.ts";
import { clientKey, HASH_SEED, jhash, scaleToSlot } from "#l4/nft/jhash.ts";
import { planKernel } from "#l4/nft/plan.ts";
import type { BalancerSnapshot, ListenerSpec, NftSpec, PoolMode, PoolSpec } from "#state/balancer.ts";
import type { RhumbEvent } from "#state/events.ts";
import { withoutKernel } from "../l4/nft/kernel.ts";
import { activeTable, kernelBackend, kernelListener, kernelPool, kernelSnapshot } from "../l4/nft/specs.ts";
import { until } from "../net/bed.ts";
import { publish } from "../pool/pool-fixture.ts";
import type { Flow } from "./nft-client.ts";
import { BACKENDS, CLIENTS, createLab, type Lab, NAMES, VIP } from "./nft-lab.ts";

type Family = 4 | 6;

/** One pool of three backends behind a TCP and a UDP listener. */
function worldOf(
  family: Family,
  pool: Partial<PoolSpec>,
  more: { readonly nft?: Partial<NftSpec>; readonly listener?: Partial<ListenerSpec>; readonly port?: number } = {},
): BalancerSnapshot {
  const backends = BACKENDS[family].map((address, index) =>
    kernelBackend(index, address, { weight: index + 1, port: more.port ?? 80 }),
  );
  const listener = (protocol: "tcp" | "udp") =>
    kernelListener(VIP[family], { name: protocol, protocol, ...more.listener });
  return kernelSnapshot([listener("tcp"), listener("udp")], [kernelPool(backends, pool)], more.nft);
}

describe("kernel mode", { skip: withoutKernel("conntrack", "bash"), timeout: 300_000 }, () => {
  let lab: Lab;
  let table: Int32Array;
  let nft: Nft;
  let events: RhumbEvent[] = [];

  before(async () => {
    lab = await createLab();
  });
  after(async () => {
    await lab?.close();
  });

  /** An engine of its own for each test, which leaves nothing behind. */
  async function serving(snapshot: BalancerSnapshot, body: () => Promise<void>): Promise<void> {
    table = activeTable(...snapshot.pools);
    events = [];
    const emit = (event: RhumbEvent): void => void events.push(event);
    nft = createNft({ clock: systemClock, log: silentLog, emit, table, run: lab.run, poke: lab.poke });
    lab.routeBack(snapshot.pools[0]!.mode === "nft-dsr" || snapshot.nft.masquerade ? "direct" : "balancer");
    // Flows of the test before.
    lab.shell("balancer", "conntrack -F 2>/dev/null");
    try {
      await nft.apply(snapshot);
      await body();
    } finally {
      await nft.close({ leave: false });
    }
    assert.equal(lab.shell("balancer", "nft list tables").trim(), "", "tables are left");
    assert.deepEqual(events, []);
  }
  /** The keeper says so, and the kernel has it. */
  async function change(states: Parameters<typeof publish>[1]): Promise<void> {
    publish(table, states);
    const { applied } = nft.stats();
    nft.statesChanged();
    await until(() => nft.stats().applied > applied);
  }
  const tcp = (family: Family, count: number, from: readonly string[] = CLIENTS[family]) =>
    lab.client({ task: "tcp", to: VIP[family], port: 80, from, count });
  const udp = (family: Family, count: number, from: readonly string[] = CLIENTS[family], size = 10) =>
    lab.client({ task: "udp", to: VIP[family], port: 80, from, count, size });
  const counts = (flows: readonly Flow[]): number[] =>
    NAMES.map((name) => flows.filter(({ backend }) => backend === name).length);
  const hold = (family: Family, kind: "tcp" | "udp", name: string, from: string = CLIENTS[family][0]!) =>
    lab.client({ task: "hold", name, kind, to: VIP[family], port: 80, from });
  const ask = (name: string, timeoutMs?: number) => lab.client({ task: "ask", name, ...(timeoutMs && { timeoutMs }) });

  /** All came through, and backends saw the client. */
  function assertServed(flows: readonly Flow[], count: number): void {
    assert.equal(flows.length, count);
    for (const flow of flows) assert.equal(flow.seen, flow.from, JSON.stringify(flow));
  }
  /** Every flow went where the table of slots says. */
  function assertPredicted(flows: readonly Flow[], snapshot: BalancerSnapshot, withPort: boolean): void {
    const { groups } = planKernel({ snapshot, table, macOf: () => "02:00:00:00:00:01" });
    const { spread, backends } = groups[0]!;
    assert.ok(spread.kind === "hash");
    for (const { from, port, backend } of flows) {
      const key = clientKey(from, from.includes(":") ? 16 : 4, withPort ? port : undefined);
      const slot = scaleToSlot(
        jhash(key.subarray(0, withPort ? key.length : spread.octets), HASH_SEED),
        spread.slots.length,
      );
      const address: string = backends[spread.slots[slot]!]!.address;
      const index: number = BACKENDS[from.includes(":") ? 6 : 4].indexOf(address as never);
      assert.equal(backend, NAMES[index], `${from}:${port}`);
    }
  }

  for (const family of [4, 6] as const) {
    describe(`IPv${family}`, () => {
      test("nft: shares follow the weights", () =>
        serving(worldOf(family, { algorithm: "weighted_least_connections" }), async () => {
          const flows = await tcp(family, 30);
          assertServed(flows, 1_200);
          // Five standard deviations of a binomial share.
          counts(flows).forEach((count, index) => {
            const share = (index + 1) / 6;
            const deviation = Math.sqrt(1_200 * share * (1 - share));
            assert.ok(Math.abs(count - 1_200 * share) < 5 * deviation, `${counts(flows)}`);
          });
          assertServed(await udp(family, 2), 80);
        }));

      test("nft: round robin is exact", () =>
        serving(worldOf(family, { algorithm: "weighted_round_robin" }), async () => {
          assert.deepEqual(counts(await tcp(family, 3)), [20, 40, 60]);
        }));

      test("nft: a client stays with its backend, which can be told beforehand", async () => {
        const snapshot = worldOf(family, { algorithm: "maglev" }, { port: 8080 });
        await serving(snapshot, async () => {
          const flows = [...(await tcp(family, 3)), ...(await udp(family, 3))];
          assertServed(flows, 240);
          assertPredicted(flows, snapshot, false);
          if (family === 4)
            assert.ok(
              counts(flows).every((count) => count > 0),
              `${counts(flows)}`,
            );
        });
      });

      test("nft: in one arm, backends see the balancer and answer through it", () =>
        serving(worldOf(family, {}, { nft: { masquerade: true } }), async () => {
          const flows = [...(await tcp(family, 2)), ...(await udp(family, 2))];
          assert.equal(
            counts(flows).reduce((sum, count) => sum + count),
            160,
          );
          for (const { seen } of flows) assert.ok(!CLIENTS[family].includes(seen as never), seen);
        }));

      test("nft: flows of a backend that goes down move at once", () =>
        serving(worldOf(family, { algorithm: "round_robin" }), async () => {
          const held = await hold(family, "udp", `udp${family}`);
          const stream = await hold(family, "tcp", `tcp${family}`);
          const lost = NAMES.indexOf(held.backend as never);
          assert.equal(await ask(`udp${family}`), held.backend);
          assert.equal(await ask(`tcp${family}`), "still here?");
          await change({ [lost]: "down", [NAMES.indexOf(stream.backend as never)]: "down" });
          await until(() => nft.stats().flowsForgotten >= 2);
          const list = lab.shell("balancer", `conntrack -L -f ipv${family} 2>/dev/null || true`);
          assert.ok(!list.includes(`src=${BACKENDS[family][lost]} `), list);
          assert.notEqual(await ask(`udp${family}`), held.backend);
          assert.match(await ask(`tcp${family}`), /ECONNRESET|closed/);
          assert.equal(counts(await tcp(family, 1))[lost], 0);
        }));

      test("nft: flows of a backend that drains go on until their time is up", () =>
        serving(worldOf(family, { algorithm: "round_robin" }), async () => {
          const held = await hold(family, "tcp", `drain${family}`);
          const draining = NAMES.indexOf(held.backend as never);
          await change({ [draining]: "drain" });
          const elsewhere = counts(await tcp(family, 1));
          assert.equal(elsewhere[draining], 0);
          assert.deepEqual(elsewhere.toSorted(), [0, 20, 20]);
          assert.equal(await ask(`drain${family}`), "still here?");
          nft.expired(draining);
          await until(() => nft.stats().flowsForgotten > 0);
          assert.match(await ask(`drain${family}`), /ECONNRESET|closed/);
        }));

      test("nft: a backend that is removed loses its flows when its time is over, and the others keep theirs", () => {
        const snapshot = worldOf(family, { algorithm: "round_robin" });
        return serving(snapshot, async () => {
          const flows = [];
          for (const at of [0, 1, 2]) flows.push(await hold(family, "tcp", `remove${family}-${at}`));
          const removed = flows[0]!.backend;
          const [pool] = snapshot.pools;
          const backends = pool!.backends.filter((_, index) => NAMES[index] !== removed);
          await nft.apply({ ...snapshot, pools: [{ ...pool!, backends }] });
          for (const at of flows.keys()) assert.equal(await ask(`remove${family}-${at}`), "still here?");
          nft.expired(NAMES.indexOf(removed as never));
          await until(() => nft.stats().flowsForgotten > 0);
          for (const [at, { backend }] of flows.entries())
            assert.equal((await ask(`remove${family}-${at}`)) === "still here?", backend !== removed);
        });
      });

      test("nft: with nobody to serve, clients are refused or served all the same, as the pool says", async () => {
        const states = { 0: "down", 1: "down", 2: "down" } as const;
        await serving(worldOf(family, { isFailOpen: false }), async () => {
          await change(states);
          const refused = await tcp(family, 1, CLIENTS[family].slice(0, 3));
          assert.deepEqual(
            refused.map(({ backend }) => backend),
            ["ECONNREFUSED", "ECONNREFUSED", "ECONNREFUSED"],
          );
          assert.equal(nft.stats().refusing, 2);
        });
        await serving(worldOf(family, { isFailOpen: true }), async () => {
          publish(table, states);
          assertServed(await tcp(family, 1), 40);
        });
      });

      test("nft: the access list and the limit of connections of one client hold", () => {
        const [good, bad] = CLIENTS[family];
        const access = [{ network: `${bad}/${family === 4 ? 32 : 128}`, action: "deny" }] as const;
        const limits = {
          maxConnections: 0,
          acceptPerSecond: 0,
          clientConnections: 2,
          clientPerSecond: 0,
          clientBurst: 0,
        };
        return serving(worldOf(family, {}, { listener: { access, limits } }), async () => {
          for (const at of [0, 1]) assert.match((await hold(family, "tcp", `limit${family}-${at}`)).backend, /^b/);
          const task = { task: "tcp", to: VIP[family], port: 80, count: 1, timeoutMs: 300 } as const;
          assert.equal((await lab.client({ ...task, from: [good!] }))[0]!.backend, "ETIMEDOUT");
          assert.equal((await lab.client({ ...task, from: [bad!] }))[0]!.backend, "ETIMEDOUT");
          if (family === 4) assert.match((await lab.client({ ...task, from: [CLIENTS[4][2]!] }))[0]!.backend, /^b/);
        });
      });

      for (const mode of ["nft-stateless", "nft-dsr"] as const satisfies readonly PoolMode[]) {
        const port = mode === "nft-stateless" ? 8080 : 80;

        test(`${mode}: flows go where their hash says, and backends see the client`, async () => {
          const snapshot = worldOf(family, { mode, algorithm: "p2c" }, { port });
          await serving(snapshot, async () => {
            const flows = await tcp(family, 10);
            assertServed(flows, 400);
            assertPredicted(flows, snapshot, true);
            const datagrams = await udp(family, 5);
            assertServed(datagrams, 200);
            assertPredicted(datagrams, snapshot, true);
            counts([...flows, ...datagrams]).forEach((count, index) => {
              const share = (index + 1) / 6;
              assert.ok(Math.abs(count - 600 * share) < 5 * Math.sqrt(600 * share * (1 - share)));
            });
            assert.equal(lab.shell("balancer", "conntrack -L 2>/dev/null | grep -c dport=80 || true").trim(), "0");
          });
        });

        test(`${mode}: with stickiness a client stays with its backend`, async () => {
          const snapshot = worldOf(family, { mode, algorithm: "ip_hash" }, { port });
          await serving(snapshot, async () => {
            const flows = await tcp(family, 2);
            assertServed(flows, 80);
            assertPredicted(flows, snapshot, false);
          });
        });

        test(`${mode}: much goes through unharmed`, () =>
          serving(worldOf(family, { mode }, { port }), async () => {
            const octets = 4 << 20;
            assert.equal(await lab.client({ task: "bulk", to: VIP[family], port: 80, octets }), octets);
          }));

        test(`${mode}: when a backend goes, no flow of the others moves`, () =>
          serving(worldOf(family, { mode }, { port }), async () => {
            const flows: Flow[] = [];
            for (const from of CLIENTS[family].slice(0, 12))
              flows.push(await hold(family, "tcp", `${mode}${from}`, from));
            assert.ok(counts(flows).filter((count) => count > 0).length > 1, `${counts(flows)}`);
            const gone = NAMES.indexOf(flows[0]!.backend as never);
            await change({ [gone]: "down" });
            for (const { from, backend } of flows) {
              const said = await ask(`${mode}${from}`);
              assert.equal(said === "still here?", backend !== NAMES[gone], `${from} at ${backend}: ${said}`);
            }
            assert.equal(counts(await tcp(family, 1))[gone], 0);
          }));

        test(`${mode}: fragments are dropped`, () =>
          serving(worldOf(family, { mode }, { port }), async () => {
            const task = {
              task: "udp",
              to: VIP[family],
              port: 80,
              from: CLIENTS[family].slice(0, 2),
              count: 1,
            } as const;
            assertServed(await lab.client({ ...task, size: 1_000 }), 2);
            for (const { backend } of await lab.client({ ...task, size: 3_000, timeoutMs: 300 }))
              assert.equal(backend, "ETIMEDOUT");
          }));

        test(`${mode}: with nobody to serve, clients are refused`, () =>
          serving(worldOf(family, { mode, isFailOpen: false }, { port }), async () => {
            await change({ 0: "down", 1: "maint", 2: "drain" });
            const [refused] = await tcp(family, 1, CLIENTS[family].slice(0, 1));
            assert.equal(refused!.backend, "ECONNREFUSED");
          }));
      }
    });
  }

  test("rules that are left go on forwarding, and the next engine takes them over", async () => {
    const snapshot = worldOf(4, { algorithm: "round_robin" });
    const options = { clock: systemClock, log: silentLog, emit: () => {}, run: lab.run, poke: lab.poke };
    lab.routeBack("balancer");
    lab.shell("balancer", "nft add table inet mine");
    table = activeTable(...snapshot.pools);
    const first = createNft({ ...options, table });
    await first.apply(snapshot);
    await hold(4, "tcp", "handover");
    await first.close({ leave: true });
    assertServed(await tcp(4, 1), 40);
    const second = createNft({ ...options, table });
    await second.apply(snapshot);
    assert.equal(await ask("handover"), "still here?");
    await second.close({ leave: false });
    assert.equal(lab.shell("balancer", "nft list tables").trim(), "table inet mine");
    lab.shell("balancer", "nft delete table inet mine");
  });
});
