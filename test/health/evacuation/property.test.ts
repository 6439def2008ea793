/**
 * Whatever order messages come in and whoever crashes meanwhile: no live DNS node gives clients to a region while one of its
 * balancers drains or its prefixes are withdrawn, steps come in the order of D15, and a return ends at serving.
 *
 * Nodes here do what `app/evacuation/` does, without its I/O: the record with more orders counts, then the newer one; who
 * leads writes the next step; acknowledgements are for one version. A node that crashes keeps its record, and has exchanged
 * it with the others when it serves again.
 */
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import {
  beginEvacuation,
  leaveAgain,
  type Order,
  resumeEvacuation,
  returnRegion,
  stopEvacuation,
} from "#health/evacuation/commands.ts";
import { type EvacuationFacts, type NodeFact, stepEvacuation } from "#health/evacuation/machine.ts";
import { termsOf } from "#health/evacuation/terms.ts";
import { dutyOf, EVACUATION_STEPS, type Evacuation } from "#state/evacuation.ts";
import { START_MS } from "./bed.ts";

const NAMES = ["ns1", "ns2", "ns3", "lb1", "lb2"] as const;
const isDns = (name: string): boolean => name.startsWith("ns");
const STEP_MS = 1_000;

type Copy = { readonly body: Evacuation; readonly version: number; readonly by: string };
type Node = { readonly name: string; isAlive: boolean; copy: Copy | undefined; ack: Copy | undefined };
type Action =
  | { readonly do: "deliver"; readonly from: number; readonly to: number }
  | { readonly do: "crash" | "start" | "lead"; readonly node: number }
  | { readonly do: "wait"; readonly seconds: number }
  | { readonly do: "health"; readonly isHealthy: boolean }
  | { readonly do: "order"; readonly node: number; readonly verb: "evacuate" | "return" | "stop" | "resume" };

const isNewer = (one: Copy, held: Copy | undefined): boolean =>
  held === undefined ||
  one.body.orders > held.body.orders ||
  (one.body.orders === held.body.orders &&
    (one.version > held.version || (one.version === held.version && one.by > held.by)));

function createWorld() {
  const nodes: Node[] = NAMES.map((name) => ({ name, isAlive: true, copy: undefined, ack: undefined }));
  /** Each record that was written, and what its writer knew before: two may order different things at once. */
  const history: { before: Evacuation | undefined; now: Evacuation }[] = [];
  let nowMs = START_MS;
  let isHealthy = true;

  function write(node: Node, body: Evacuation): void {
    history.push({ before: node.copy?.body, now: body });
    node.copy = { body, version: (node.copy?.version ?? 0) + 1, by: node.name };
    node.ack = node.copy;
  }
  function take(to: Node, copy: Copy | undefined): void {
    if (copy === undefined || !isNewer(copy, to.copy)) return;
    to.copy = copy;
    to.ack = copy;
  }
  /** What the node that leads can see: acknowledgements of this very record, and who lives. */
  function factsOf(leader: Node): EvacuationFacts {
    const factOf = (node: Node): NodeFact => ({
      node: node.name,
      isAlive: node.isAlive,
      hasApplied: node.ack !== undefined && node.ack === leader.copy,
    });
    const balancers = nodes.filter(({ name }) => !isDns(name));
    return {
      dns: nodes.filter(({ name }) => isDns(name)).map(factOf),
      balancers: balancers.map(factOf),
      advertisers: balancers.map((node) => ({
        ...factOf(node),
        isAnnouncing: node.isAlive && !(node.copy && dutyOf(node.copy.body).isWithdrawn),
        refusal: "",
      })),
      nowRps: 0,
      inFlight: 0,
      isHealthy,
    };
  }
  function lead(node: Node): void {
    const body = node.copy?.body;
    if (!node.isAlive || body?.leader !== node.name) return;
    const { next } = stepEvacuation(body, factsOf(node), nowMs);
    if (next !== body) write(node, next);
  }
  function order(node: Node, verb: "evacuate" | "return" | "stop" | "resume"): void {
    if (!node.isAlive || !isDns(node.name)) return;
    const by: Order = { owner: "kim", leader: node.name, nowMs };
    const body = node.copy?.body;
    const isRunning = body !== undefined && body.step !== "serving";
    if (verb === "evacuate" && !isRunning) {
      const start = { region: "eu", reason: "r", terms: termsOf({}, 5, true), startRps: 100, notes: [] };
      write(node, beginEvacuation(start, by, body?.orders ?? 0));
    }
    if (!isRunning) return;
    if (verb === "return") write(node, returnRegion(body, by));
    else if (verb === "stop") write(node, stopEvacuation(body, by));
    else if (verb === "resume") write(node, resumeEvacuation(body, by, false));
    else if (body.direction === "return") write(node, leaveAgain(body, "again", by));
  }

  /** An order that it has told no other DNS node: one that dies with it and comes back later is the limit that docs/evacuation.md names. */
  const isOnlyItsOwn = ({ name, copy }: Node): boolean =>
    nodes.every(
      (other) => other.name === name || !isDns(other.name) || (other.copy?.body.orders ?? 0) < (copy?.body.orders ?? 0),
    );

  function act(action: Action): void {
    switch (action.do) {
      case "deliver": {
        const [from, to] = [nodes[action.from]!, nodes[action.to]!];
        if (from.isAlive && to.isAlive) take(to, from.copy);
        break;
      }
      case "crash": {
        const node = nodes[action.node]!;
        if (!isOnlyItsOwn(node)) node.isAlive = false;
        break;
      }
      case "start": {
        const node = nodes[action.node]!;
        if (node.isAlive) break;
        node.isAlive = true;
        for (const other of nodes) {
          if (!other.isAlive) continue;
          take(node, other.copy);
          take(other, node.copy);
        }
        break;
      }
      case "lead":
        lead(nodes[action.node]!);
        break;
      case "wait":
        nowMs += action.seconds * STEP_MS;
        break;
      case "health":
        isHealthy = action.isHealthy;
        break;
      case "order":
        order(nodes[action.node]!, action.verb);
        break;
      default:
        action satisfies never;
    }
  }

  function check(): void {
    const living = nodes.filter(({ isAlive, copy }) => isAlive && copy !== undefined);
    const given = nodes
      .filter(({ name, isAlive }) => isAlive && isDns(name))
      .map(({ copy }) => (copy ? dutyOf(copy.body).weightPercent : 100));
    const isLeft = living.some(
      ({ name, copy }) => !isDns(name) && (dutyOf(copy!.body).isDraining || dutyOf(copy!.body).isWithdrawn),
    );
    if (isLeft)
      assert.ok(
        given.every((percent) => percent === 0),
        `${given}: ${living.map(({ copy }) => copy?.body.step)}`,
      );
  }
  return { nodes, history, act, check, body: () => nodes.find(({ name }) => name === "ns1")!.copy?.body };
}

const node = fc.integer({ min: 0, max: NAMES.length - 1 });
const action = fc.oneof(
  { weight: 8, arbitrary: fc.record({ do: fc.constant("deliver" as const), from: node, to: node }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("lead" as const), node }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("wait" as const), seconds: fc.integer({ min: 0, max: 40 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("crash" as const, "start" as const), node }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("health" as const), isHealthy: fc.boolean() }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("order" as const),
      node,
      verb: fc.constantFrom("evacuate" as const, "return" as const, "stop" as const, "resume" as const),
    }),
  },
);
/** All hear all, and whoever leads takes a step. */
function settle(world: ReturnType<typeof createWorld>): void {
  for (const from of world.nodes.keys()) for (const to of world.nodes.keys()) world.act({ do: "deliver", from, to });
  for (const leader of world.nodes.keys()) world.act({ do: "lead", node: leader });
  world.check();
}

test("whatever comes in whatever order, clients are given no region that drains or is withdrawn", () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 120, size: "max" }), (actions) => {
      const world = createWorld();
      world.act({ do: "order", node: 0, verb: "evacuate" });
      for (const one of actions) {
        world.act(one);
        world.check();
      }
    }),
    { numRuns: 400 },
  );
});

test("whatever came before, a return that is said by a live node ends at serving", () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 80, size: "max" }), (actions) => {
      const world = createWorld();
      world.act({ do: "order", node: 0, verb: "evacuate" });
      for (const one of actions) world.act(one);
      for (const index of world.nodes.keys()) world.act({ do: "start", node: index });
      world.act({ do: "health", isHealthy: true });
      settle(world);
      settle(world);
      world.act({ do: "order", node: 0, verb: "return" });
      for (let round = 0; round < 60 && world.body()?.step !== "serving"; round++) {
        settle(world);
        world.act({ do: "wait", seconds: 5 });
      }
      assert.equal(world.body()?.step, "serving");
    }),
    { numRuns: 200 },
  );
});

test("steps come in their order, one at a time, and weights only fall while a region is left", () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 120, size: "max" }), (actions) => {
      const world = createWorld();
      world.act({ do: "order", node: 0, verb: "evacuate" });
      for (const one of actions.filter((each) => each.do !== "order" || each.verb !== "evacuate")) world.act(one);
      for (let round = 0; round < 60; round++) {
        settle(world);
        world.act({ do: "wait", seconds: 40 });
      }
      for (const { before, now } of world.history) {
        if (now.orders !== before?.orders) continue;
        const way = EVACUATION_STEPS.indexOf(now.step) - EVACUATION_STEPS.indexOf(before.step);
        const says = `${before.direction} ${before.step} → ${now.step}`;
        assert.equal(now.direction, before.direction, says);
        if (now.direction === "leave") {
          assert.ok(way === 0 || way === 1, says);
          if (now.step === "weight") assert.ok(now.weight <= before.weight, says);
        } else assert.ok(way === 0 || way === -1 || (before.step === "balancer" && now.step === "weight"), says);
      }
    }),
    { numRuns: 100 },
  );
});
