/** Who votes, and on what, as configuration says it. */
import assert from "node:assert/strict";
import test from "node:test";
import { createManualClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { createSeededRng } from "#base/rng.ts";
import { createHealth } from "#health/engine.ts";
import { createHealthTable } from "#state/health-table.ts";
import { createFakeProbes } from "../health/bed.ts";
import { compileFolder, problemsOf, snapshotOf, writeBalancer } from "./load-balancer.ts";

const REGIONS = `
us-east: { at: [39.04, -77.49], continent: NA, country: US, v4: [127.0.11.1], check: region-http }
eu-west: { at: [53.35, -6.26], continent: EU, country: IE, v4: [127.0.12.1], check: region-http }
`;
const BALANCER = `
region: us-east
listeners: { web: { listen: "127.0.11.1:8080", protocol: tcp, pool: web } }
pools: { web: { check: { kind: tcp }, backends: ["127.0.11.11:9001"] } }
`;
const CHECKS = {
  "health/region-http.yaml": "{ kind: http, port: 8080, path: /healthz }",
  "health/upstream.yaml": "{ kind: dns, name: example.net }",
  "health/no-port.yaml": "{ kind: tcp }",
};
/** The rest of rhumb.yaml, behind the section `balancer`. */
const REST = `
geo: { regions: geo-data/regions.yaml }
health: { vantages: { ns1: { at: [50.1, 8.7] }, ns2: { at: [1.3, 103.8] }, lb1: { at: [39, -77] } }, references: REFERENCES }
`;
const root = (references: string): string =>
  `version: 1\nnode: lb1\nbalancer:\n${BALANCER.replace(/^/gm, "  ")}\n${REST.replace("REFERENCES", references)}`;
const write = (t: Parameters<typeof writeBalancer>[0], references = "[]"): string =>
  writeBalancer(t, "", { ...CHECKS, "geo-data/regions.yaml": REGIONS, "rhumb.yaml": root(references) });

test("a balancer's node with regions and checks is a vantage: it votes on all regions, its own among them, and on no backend", (t) => {
  const { health } = snapshotOf(compileFolder(write(t)));
  assert.deepEqual([health.vantage, health.vantages, health.quorum], ["lb1", ["ns1", "ns2", "lb1"], 2]);
  const clock = createManualClock();
  const engine = createHealth({
    table: createHealthTable(64),
    clock,
    rng: createSeededRng(1),
    log: silentLog,
    emit: () => {},
    probes: createFakeProbes(clock).start,
    store: { load: () => [], save: () => {} },
    stateFile: undefined,
  });
  engine.apply(health);
  clock.advance(1_000);
  const { vantage, votes } = engine.votes();
  assert.equal(vantage, "lb1");
  assert.deepEqual(votes.map(({ endpoint, state }) => [endpoint.split("/").at(-1), state]).sort(), [
    ["127.0.11.1", "up"],
    ["127.0.12.1", "up"],
  ]);
  assert.equal(engine.stats().targets.up, 3);
});

test("references are probed by checks of the folder, which must be there and say a port", (t) => {
  const { health } = snapshotOf(compileFolder(write(t, "[{ address: 192.0.2.53, check: upstream }]")));
  assert.deepEqual(health.references, [{ address: "192.0.2.53", check: "upstream" }]);
  const problems = problemsOf(
    compileFolder(write(t, "[{ address: 192.0.2.53, check: upstraem }, { address: 192.0.2.54, check: no-port }]")),
  ).filter((problem) => problem.includes("references"));
  assert.equal(problems.length, 2);
  assert.match(problems[0]!, /There is no check "upstraem" \(Did you mean `upstream`/);
  assert.match(problems[1]!, /says no port/);
});

test("safety rules name regions that there are, and no more of them than they name", (t) => {
  const withSafety = (safety: string) => compileFolder(write(t, `[], safety: ${safety}`));
  const { health } = snapshotOf(
    withSafety("{ assert: [{ of: [us-east, eu-west] }], gates: { evacuate: maintenance } }"),
  );
  assert.deepEqual(health.safety, {
    assert: [{ atLeast: 1, of: ["us-east", "eu-west"] }],
    gates: [{ change: "evacuate", needs: "maintenance" }],
  });
  assert.deepEqual(snapshotOf(compileFolder(write(t))).health.safety, { assert: [], gates: [] });
  const problems = problemsOf(withSafety("{ assert: [{ atLeast: 2, of: [us-east, us-east] }, { of: [eu-wst] }] }"));
  assert.ok(problems.some((problem) => /2 of 2 cannot be kept/.test(problem)));
  assert.ok(problems.some((problem) => /There is no region "eu-wst" \(Did you mean `eu-west`/.test(problem)));
});

test("vantages without enrolled nodes are warned of: their votes do not arrive", (t) => {
  assert.ok(problemsOf(compileFolder(write(t))).some((problem) => /warning: No node is enrolled/.test(problem)));
});
