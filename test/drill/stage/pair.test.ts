import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { whyNot } from "#drill/stage/local-actions.ts";
import { balancerFiles } from "#drill/stage/node-files.ts";
import { BRIDGE, doorsOf, keepalivedConfig } from "#drill/stage/pair.ts";
import { balancersOf, planStage, waysOf } from "#drill/stage/plan.ts";
import { readWorld } from "#drill/stage/world.ts";
import type { Endpoint } from "#drill/stage.ts";
import { step } from "../seen.ts";

const ports = (): (() => number) => {
  let next = 20_000;
  return () => next++;
};
const plan = planStage(readWorld({}), ["root", "keepalived"], ports());
const pair = plan.pair!;
const [first, second] = balancersOf(plan, "eu-west") as [string, string];

test("planStage() has two balancers in one region where keepalived is needed, and one elsewhere", () => {
  assert.deepEqual([first, second], ["lb-eu-west", "lb-eu-west-2"]);
  assert.deepEqual(balancersOf(plan, "us-east"), ["lb-us-east"]);
  assert.equal(planStage(readWorld({}), [], ports()).pair, undefined);
  const ways = waysOf(plan, second);
  for (const id of [`ns1>${second}`, `${second}>ns1`, `${second}>${first}`]) assert.ok(ways.includes(id), id);
  for (const { id, state } of plan.links) if (id.endsWith(">eu-west")) assert.deepEqual(state.to, pair.web, id);
});

test("balancerFiles() configures both alike, to listen on the address that moves", () => {
  const read = (name: string) =>
    JSON.parse(balancerFiles(plan, name, {}, { pipes: undefined, capacityRps: 10 })["rhumb.yaml"]!) as {
      node: string;
      balancer: { listeners: { web: { listen: string } } };
    };
  assert.equal(read(first).balancer.listeners.web.listen, `10.79.0.100:${plan.httpPort}`);
  assert.deepEqual(read(first).balancer, read(second).balancer);
  assert.equal(read(second).node, second);
});

test("doorsOf() leads every way in and out through one path, listened at on one side and opened on the other", () => {
  const doors = doorsOf(plan, pair, "/run/x");
  assert.deepEqual(Object.keys(doors).sort(), [BRIDGE, "host", first, second].sort());
  const inside = [...doors[BRIDGE]!, ...doors[first]!, ...doors[second]!];
  const host = doors["host"]!;
  assert.equal(host.length, inside.length);
  const isPath = (at: Endpoint | string): at is string => typeof at === "string";
  for (const door of host) {
    const path = isPath(door.listen) ? door.listen : door.to;
    const other = inside.filter(({ listen, to }) => listen === path || to === path);
    assert.equal(other.length, 1, String(path));
    assert.equal(isPath(door.listen), isPath(other[0]!.to), "one listens at the path, the other one opens it");
  }
  // What a balancer is told to connect to is there, at the same place as on loopback.
  for (const { id, listen } of plan.links)
    if (id.startsWith(`${second}>`))
      assert.ok(
        doors[second]!.some((door) => door.listen === listen),
        id,
      );
});

test("keepalivedConfig() sets all values of the template that are of a place, and leaves its rules", () => {
  const template = readFileSync(new URL("../../../deploy/keepalived/pair.conf", import.meta.url), "utf8");
  const { api } = plan.members.find(({ name }) => name === second)!;
  const text = keepalivedConfig(template, pair, {
    name: second,
    api,
    scripts: "/run/x/scripts",
    notes: "/run/x/notes",
  });
  for (const line of [
    "$INTERFACE=eth0",
    "$OWN=10.79.0.12",
    "$PEER=10.79.0.11",
    "$VIP=10.79.0.100/24",
    `  script "/run/x/scripts/rhumb-check alive 127.0.0.1 ${api.port}"`,
    `  script "/run/x/scripts/rhumb-check ready 127.0.0.1 ${api.port}"`,
    '  notify "/run/x/scripts/rhumb-notify --file /run/x/notes"',
  ])
    assert.ok(text.split("\n").includes(line), line);
  assert.doesNotMatch(text, /192\.0\.2\.|\/usr\/local/);
  assert.equal(text.split("\n").length, template.split("\n").length);
});

test("whyNot() refuses a pair together with ExaBGP, which speaks for one balancer", () => {
  const both = planStage(readWorld({}), ["root", "keepalived", "exabgp"], ports());
  assert.match(whyNot(step(0, "kill", "balancer/eu-west"), both) ?? "", /no ExaBGP/);
  assert.equal(whyNot(step(0, "kill", "balancer/eu-west"), plan), undefined);
});
