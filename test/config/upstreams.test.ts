/** `balancer.source`: what a table says over the file and below the API, and what is wrong with a source. */
import assert from "node:assert/strict";
import test from "node:test";
import { upstreamSourceOf } from "#config/upstream-source.ts";
import type { UpstreamRow } from "#state/upstreams.ts";
import { compileFiles, compileFolder, problemsOf, snapshotOf, writeBalancer } from "./load-balancer.ts";
import { loadFrom } from "./load-good.ts";

const section = (source: string): string => `region: here
source: ${source}
listeners: { in: { listen: "127.0.0.1:80", protocol: tcp, pool: web } }
pools:
  web:
    backends:
      - { address: "10.0.0.1:80", weight: 3, zone: a, maxConnections: 9 }
      - "10.0.0.2:80"`;
const rowOf = (address: string, over: Partial<UpstreamRow> = {}): UpstreamRow => ({
  id: address,
  pool: "web",
  address,
  port: 80,
  weight: 1,
  isBackup: false,
  isDraining: false,
  ...over,
});

for (const { says, rows, overlay = {}, expected, drains = [] } of [
  { says: "without rows the file stands", rows: [], expected: ["10.0.0.1:80 3 a file", "10.0.0.2:80 1 - file"] },
  {
    says: "rows come to those of the file",
    rows: [rowOf("10.0.0.9", { isBackup: true })],
    expected: ["10.0.0.1:80 3 a file", "10.0.0.2:80 1 - file", "10.0.0.9:80 1 - table backup"],
  },
  {
    says: "of an address of both, the row says the weight and the file the rest",
    rows: [rowOf("10.0.0.1", { weight: 7 })],
    expected: ["10.0.0.1:80 7 a table", "10.0.0.2:80 1 - file"],
  },
  {
    says: "the API wins over both",
    rows: [rowOf("10.0.0.1", { weight: 7 }), rowOf("10.0.0.9"), rowOf("10.0.0.8")],
    overlay: { pools: { web: { backends: { "10.0.0.1:80": { weight: 5 }, "10.0.0.9:80": null } } } },
    expected: ["10.0.0.1:80 5 a api", "10.0.0.2:80 1 - file", "10.0.0.8:80 1 - table"],
  },
  {
    says: "DRAINING is an override of the row's backend",
    rows: [rowOf("10.0.0.1", { isDraining: true }), rowOf("10.0.0.9", { isDraining: true })],
    expected: ["10.0.0.1:80 1 a table", "10.0.0.2:80 1 - file", "10.0.0.9:80 1 - table"],
    drains: ["backend/web/10.0.0.1:80", "backend/web/10.0.0.9:80"],
  },
] satisfies {
  says: string;
  rows: UpstreamRow[];
  overlay?: object;
  expected: string[];
  drains?: string[];
}[])
  test(`a table of backends: ${says}`, (t) => {
    const folder = writeBalancer(t, section("{ postgres: postgres://rhumb@127.0.0.1/lb }"));
    const files = { ...loadFrom(folder), upstreams: new Map([["web", rows]]) };
    const result = compileFiles(files, { overlay });
    const { balancer, health } = snapshotOf(result);
    const shown = balancer.pools[0]!.backends.map(
      ({ key, weight, zone = "-", origin, priority }) =>
        `${key} ${weight} ${zone} ${origin}${priority === 1 ? " backup" : ""}`,
    );
    assert.deepEqual(shown, expected);
    assert.deepEqual(
      health.fileOverrides.map(({ target, verb, weightPercent }) => `${target} ${verb} ${weightPercent}`),
      drains.map((target) => `${target} drain 0`),
    );
  });

for (const { source, problem } of [
  { source: "{ postgres: postgres://rhumb:secret@127.0.0.1/lb }", problem: /The URL holds a password/ },
  { source: "{ postgres: mysql://rhumb@127.0.0.1/lb }", problem: /Must be a postgres:\/\/ URL/ },
  { source: "{ postgres: postgres://127.0.0.1/lb }", problem: /names no user/ },
  { source: "{ postgres: postgres://rhumb@127.0.0.1/ }", problem: /Must be a postgres:\/\/ URL/ },
  { source: '{ postgres: "postgres://rhumb@db.example/lb?sslmode=disable" }', problem: /without TLS/ },
  { source: '{ postgres: "postgres://rhumb@db.example/lb?sslmode=require" }', problem: /sslmode=….*not known/ },
  { source: "{ postgres: postgres://rhumb@127.0.0.1/lb, table: 'Robert; DROP TABLE x' }", problem: /name of a table/ },
  { source: "{ postgres: postgres://rhumb@127.0.0.1/lb, pools: [wbe] }", problem: /There is no pool "wbe"/ },
  { source: "{ postgres: postgres://rhumb@127.0.0.1/lb, ca: nowhere.pem }", problem: /There is no file/ },
  { source: '{ postgres: "env:NOT_SET_ANYWHERE" }', problem: /Cannot resolve the secret/ },
])
  test(`a source is refused: ${source}`, (t) => {
    const problems = problemsOf(compileFolder(writeBalancer(t, section(source))));
    assert.ok(
      problems.some((text) => problem.test(text)),
      problems.join("\n"),
    );
    assert.doesNotMatch(problems.join("\n"), /secret@/);
  });

for (const { url, usesTls } of [
  { url: "postgres://rhumb@127.0.0.1/lb", usesTls: false },
  { url: "postgres://rhumb@127.0.0.1/lb?sslmode=verify-full", usesTls: true },
  { url: "postgres://rhumb@%2Frun%2Fpostgresql/lb", usesTls: false },
  { url: "postgres://rhumb@db.example/lb", usesTls: true },
  { url: "postgres://rhumb@192.0.2.1:6432/lb?sslmode=verify-full", usesTls: true },
])
  test(`${url} is reached ${usesTls ? "by TLS" : "in clear"}`, (t) => {
    const folder = writeBalancer(t, section(`{ postgres: "${url}" }`));
    assert.deepEqual(problemsOf(compileFolder(folder)), []);
    const spec = upstreamSourceOf(loadFrom(folder))!;
    assert.deepEqual([spec.usesTls, spec.pools, spec.refreshMs], [usesTls, ["web"], 30_000]);
  });
