import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { parse } from "yaml";
import { ACTIONS, type Action, type Step } from "#drill/scenario.ts";
import { servicesAt, whyNot } from "#drill/stage/compose-actions.ts";

const step = (action: Action, target: string): Step => ({
  atMs: 0,
  action,
  target,
  options: {},
  place: "drill.yaml:1:1",
});

test("servicesAt() names the containers of each kind of target, and nobody for what is not there", () => {
  for (const [target, services] of [
    ["region/eu-west", ["lb-eu-west", "exabgp-eu-west", "backend-eu-west-1", "backend-eu-west-2"]],
    ["balancer/us-east", ["lb-us-east"]],
    ["exabgp/ap-south", ["exabgp-ap-south"]],
    ["backend/eu-west/2", ["backend-eu-west-2"]],
    ["backend/eu-west/3", []],
    ["node/ns2", ["ns2"]],
    ["node/ns3", []],
    ["redis", ["redis"]],
    ["region/mars", []],
  ] as const)
    assert.deepEqual(servicesAt(target), services, target);
});

test("whyNot() says before a drill what containers cannot do", () => {
  assert.match(whyNot(step("skew-clock", "node/ns1"))!, /stage local/);
  assert.match(whyNot(step("kill", "region/mars"))!, /no region\/mars/);
  assert.match(whyNot(step("kill", "redis"))!, /not possible/);
  assert.match(whyNot(step("sick-vantage", "vantage/ns9"))!, /no vantage\/ns9/);
  assert.equal(whyNot(step("sick-vantage", "vantage/ns2")), undefined);
  assert.equal(whyNot(step("heal", "region/eu-west")), undefined);
  for (const action of ACTIONS) assert.doesNotThrow(() => whyNot(step(action, "")));
});

for (const name of ["anycast-withdrawal", "evacuation", "exabgp-crash", "node-loss", "redis-loss", "region-outage"])
  test(`whyNot() has nothing against the shipped drill ${name}`, () => {
    const file = new URL(`../../../drills/${name}.yaml`, import.meta.url);
    const { steps } = parse(readFileSync(file, "utf8")) as { steps: { do: Action; target: string }[] };
    for (const each of steps) assert.equal(whyNot(step(each.do, each.target)), undefined);
  });
