/** The engine with programs that only take notes: what it runs, when, and what it says. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { createManualClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { createNft } from "#l4/nft/create-nft.ts";
import { removalScript } from "#l4/nft/ruleset.ts";
import { createRun, type Ran, type Run } from "#l4/nft/run.ts";
import type { NftSpec, PoolSpec } from "#state/balancer.ts";
import type { RhumbEvent } from "#state/events.ts";
import { publish } from "../../pool/pool-fixture.ts";
import { activeTable, kernelBackend, kernelListener, kernelPool, kernelSnapshot } from "./specs.ts";

type Call = { readonly words: string; readonly input: string };
const DONE: Ran = { code: 0, out: "", err: "" };

function worldOf(pool: Partial<PoolSpec> = {}, nftSpec: Partial<NftSpec> = {}, takesOver = false) {
  const clock = createManualClock();
  const calls: Call[] = [];
  const events: RhumbEvent[] = [];
  const neighbours: { dst: string; lladdr?: string }[] = [];
  const answers: Record<string, () => Ran | Promise<Ran>> = {
    "nft list": () => ({ ...DONE, out: "table inet rhumb\ntable netdev rhumb\n" }),
    "ip -j link": () => ({ ...DONE, out: '[{"address":"02:00:00:00:00:fe"}]' }),
    "ip -j neigh": () => ({ ...DONE, out: JSON.stringify(neighbours) }),
    cat: () => ({ ...DONE, out: "1\n" }),
    "conntrack -D": () => ({ ...DONE, err: "conntrack v1.4.7 (conntrack-tools): 1 flow entries have been deleted." }),
  };
  const run: Run = async (program, args, input = "") => {
    const words = [program, ...args].join(" ");
    calls.push({ words, input });
    const key = Object.keys(answers).find((prefix) => words.startsWith(prefix));
    return key === undefined ? DONE : answers[key]!();
  };
  const spec = kernelPool(
    [1, 2, 3].map((host) => kernelBackend(host, `10.0.0.${host}`)),
    pool,
  );
  const table = activeTable(spec);
  const poked: string[] = [];
  const nft = createNft({
    clock,
    log: silentLog,
    emit: (event) => events.push(event),
    table,
    takesOver,
    run,
    poke: (address) => poked.push(address),
  });
  const snapshot = kernelSnapshot([kernelListener("192.0.2.1")], [spec], nftSpec);
  return {
    clock,
    calls,
    events,
    neighbours,
    answers,
    table,
    nft,
    spec,
    snapshot,
    poked,
    rulesets: () => calls.filter(({ words }) => words === "nft -f -").map(({ input }) => input),
    forgotten: () => calls.filter(({ words }) => words.startsWith("conntrack")).map(({ words }) => words),
    /** Moves time in small steps, so that what waits for a program gets its turn. */
    async pass(ms: number): Promise<void> {
      for (let left = ms; left > 0; left -= 10) {
        clock.advance(10);
        await setImmediate();
      }
    },
  };
}

describe("createNft()", () => {
  test("runs nothing where no listener is the kernel's", async () => {
    const { nft, snapshot, spec, calls, pass } = worldOf();
    await nft.apply({ ...snapshot, pools: [{ ...spec, mode: "proxy" }] });
    nft.statesChanged();
    await pass(20_000);
    await nft.close({ leave: false });
    assert.deepEqual(calls, []);
  });

  test("removes what the process before it left, once", async () => {
    const { nft, snapshot, rulesets } = worldOf({}, {}, true);
    for (let at = 0; at < 2; at++) await nft.apply({ ...snapshot, listeners: [] });
    assert.deepEqual(rulesets(), [removalScript("rhumb")]);
  });

  test("brings a wave of changes in one ruleset, and the same ruleset not again", async () => {
    const { nft, snapshot, table, rulesets, pass } = worldOf();
    await nft.apply(snapshot);
    for (const row of [1, 2]) {
      publish(table, { [row]: "down" });
      nft.statesChanged();
    }
    await pass(500);
    assert.equal(rulesets().length, 2);
    nft.statesChanged();
    await pass(500);
    assert.equal(rulesets().length, 2);
    assert.match(rulesets()[1]!, /chain pool\.web\.v4 \{\n\t\tgoto to\.web\.000003\n/);
  });

  test("applies at most ten times a second", async () => {
    const { nft, snapshot, table, rulesets, pass } = worldOf();
    await nft.apply(snapshot);
    const before = rulesets().length;
    for (let at = 0; at < 100; at++) {
      publish(table, { 1: ["active", (at % 7) + 1] });
      nft.statesChanged();
      await pass(10);
    }
    const count = rulesets().length - before;
    assert.ok(count >= 5 && count <= 10, `${count}`);
  });

  test("forgets flows after the rules are there, of who went down and not of who drains", async () => {
    const { nft, snapshot, table, calls, forgotten, pass } = worldOf();
    await nft.apply(snapshot);
    publish(table, { 1: "down", 2: "drain" });
    nft.statesChanged();
    await pass(500);
    assert.deepEqual(forgotten(), [
      "conntrack -D -f ipv4 -p tcp --orig-dst 192.0.2.1 --orig-port-dst 80 --reply-src 10.0.0.1 --reply-port-src 80",
    ]);
    const order = calls.map(({ words }) => words).filter((words) => /^(nft -f|conntrack)/.test(words));
    assert.match(order.at(-1)!, /^conntrack/);
    assert.equal(nft.stats().flowsForgotten, 1);
    nft.expired(2);
    await pass(10);
    assert.match(forgotten()[1]!, /--reply-src 10\.0\.0\.2/);
  });

  test("a backend that was removed keeps its flows until its time is over, one that is back keeps them for good", async () => {
    const { nft, snapshot, spec, forgotten, pass } = worldOf();
    const apply = async (backends: typeof spec.backends): Promise<void> => {
      const applied = nft.apply({ ...snapshot, pools: [{ ...spec, backends }] });
      await pass(200);
      await applied;
    };
    const removed = spec.backends[0]!.target;
    await nft.apply(snapshot);
    await apply(spec.backends.slice(1));
    assert.equal(forgotten().length, 0);
    nft.expired(removed);
    await pass(10);
    assert.equal(forgotten().length, 1);
    await apply(spec.backends);
    await apply(spec.backends.slice(1));
    await apply(spec.backends);
    assert.equal(forgotten().length, 1);
  });

  test("flows of a listener that is gone have the balancer's time to finish", async () => {
    const { nft, snapshot, spec, forgotten, pass } = worldOf();
    await nft.apply({ ...snapshot, drainMs: 5_000 });
    const emptied = nft.apply({ ...snapshot, drainMs: 5_000, listeners: [] });
    await pass(200);
    await emptied;
    await pass(4_500);
    assert.equal(forgotten().length, 0);
    await pass(1_000);
    assert.equal(forgotten().length, spec.backends.length);
  });

  test("keeps what is in the kernel when it takes no more, says so once, and tries again", async () => {
    const { nft, snapshot, table, answers, events, rulesets, pass } = worldOf();
    await nft.apply(snapshot);
    answers["nft -f"] = () => ({ code: 1, out: "", err: "netlink: Error: No buffer space available\n" });
    publish(table, { 1: "down" });
    nft.statesChanged();
    await pass(12_000);
    assert.deepEqual(
      events.map(({ severity, subject }) => [severity, subject]),
      [["alarm", "kernel/ruleset"]],
    );
    assert.match(events[0]!.says, /No buffer space available/);
    assert.ok(rulesets().length >= 3);
    delete answers["nft -f"];
    await pass(6_000);
    assert.equal(events.at(-1)!.severity, "resolved");
    assert.match(rulesets().at(-1)!, /goto to\.web\.000002/);
    assert.equal(nft.stats().failed, rulesets().length - 2);
  });

  test("refuses a configuration that the kernel does not take, and stays with the one before", async () => {
    const { nft, snapshot, table, answers, rulesets, pass } = worldOf();
    await nft.apply(snapshot);
    answers["nft -f"] = () => ({ code: 1, out: "", err: "Error: Operation not permitted\n" });
    const refused = assert.rejects(nft.apply({ ...snapshot, nft: { ...snapshot.nft, masquerade: true } }), {
      code: "RHUMB_NFT_FORBIDDEN",
    });
    await pass(200);
    await refused;
    delete answers["nft -f"];
    publish(table, { 1: "down" });
    nft.statesChanged();
    await pass(500);
    assert.equal(rulesets().length, 3);
    assert.ok(!rulesets().at(-1)!.includes("masquerade"));
  });

  test("puts tables back that others have flushed", async () => {
    const { nft, snapshot, answers, rulesets, pass } = worldOf();
    await nft.apply(snapshot);
    answers["nft list"] = () => ({ ...DONE, out: "table inet filter\n" });
    await pass(5_200);
    assert.equal(rulesets().length, 2);
    assert.equal(rulesets()[1], rulesets()[0]);
  });

  test("asks for MAC addresses, serves without who does not answer, and takes it in later", async () => {
    const world = worldOf({ mode: "nft-dsr" });
    const { nft, snapshot, neighbours, poked, events, rulesets, pass } = world;
    neighbours.push({ dst: "10.0.0.1", lladdr: "02:00:00:00:00:01" }, { dst: "10.0.0.2" });
    const applied = nft.apply(snapshot);
    await pass(2_000);
    await applied;
    assert.deepEqual([...new Set(poked)], ["10.0.0.2", "10.0.0.3"]);
    assert.match(rulesets()[0]!, /goto to\.web\.000001/);
    assert.match(events.find(({ subject }) => subject === "kernel/neighbours")!.says, /10\.0\.0\.2 .*10\.0\.0\.3 /);
    neighbours.push({ dst: "10.0.0.2", lladdr: "02:00:00:00:00:02" }, { dst: "10.0.0.3", lladdr: "02:00:00:00:00:03" });
    await pass(6_000);
    assert.match(rulesets().at(-1)!, /ether daddr set 02:00:00:00:00:03/);
    assert.equal(events.at(-1)!.severity, "resolved");
  });

  test("says so where the host does not forward", async () => {
    const { nft, snapshot, answers, events } = worldOf();
    answers["cat"] = () => ({ ...DONE, out: "0\n" });
    await nft.apply(snapshot);
    assert.match(events[0]!.says, /net\.ipv4\.ip_forward=1/);
    assert.equal(events[0]!.severity, "warning");
  });

  test("removes its tables when it closes, or leaves them", async () => {
    for (const leave of [true, false]) {
      const { nft, snapshot, rulesets, pass } = worldOf();
      await nft.apply(snapshot);
      const closed = nft.close({ leave });
      await pass(200);
      await closed;
      assert.equal(rulesets().at(-1)!.includes("chain"), leave);
      nft.statesChanged();
      await pass(10_000);
      assert.equal(rulesets().length, leave ? 1 : 2);
    }
  });

  test("changes the name of its tables", async () => {
    const { nft, snapshot, rulesets, pass } = worldOf();
    await nft.apply(snapshot);
    const applied = nft.apply({ ...snapshot, nft: { ...snapshot.nft, table: "other" } });
    await pass(300);
    await applied;
    assert.equal(rulesets().length, 3);
    assert.match(rulesets()[2]!, /table inet other \{/);
    assert.ok(!rulesets()[1]!.includes("chain"));
  });
});

describe("createRun()", () => {
  test("tells exit status and outputs, and hands the input over", async () => {
    assert.deepEqual(await createRun()("sh", ["-c", "cat; echo no >&2; exit 3"], "yes"), {
      code: 3,
      out: "yes",
      err: "no\n",
    });
  });
  test("names a program that is not there", () =>
    assert.rejects(createRun()("rhumb-no-such-program", []), { code: "RHUMB_NFT_MISSING" }));
  test("ends what takes too long", async () => {
    assert.equal((await createRun(50)("sleep", ["100"])).code, null);
  });
});
