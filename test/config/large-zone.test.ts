/** A zone of 100,000 records, through the same path as every other. The time is printed, not judged. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "node:test";
import { formatProblem } from "#base/problem.ts";
import { compile } from "#config/compile.ts";
import { copyGood, loadFrom, NOW_MS, testContext } from "./load-good.ts";

const RECORDS = 100_000;

test(`compile() loads a zone of ${RECORDS} records`, (t) => {
  const folder = copyGood(t);
  const lines = ["$TTL 300", "@ SOA ns1 hostmaster 1 3600 600 604800 60", "@ NS ns1", "ns1 A 192.0.2.53"];
  for (let index = lines.length - 1; index < RECORDS; index++)
    lines.push(`host-${index}.rack-${index % 500} A 10.${(index >> 16) & 255}.${(index >> 8) & 255}.${index & 255}`);
  writeFileSync(join(folder, "zones/large.example.zone"), `${lines.join("\n")}\n`);
  const files = loadFrom(folder);
  const context = testContext();
  const options = { ...context, generation: { epoch: 1, sequence: 1 }, nowMs: NOW_MS };
  const cpu = process.cpuUsage();
  const start = performance.now();
  const result = compile(files, options);
  const loadedAfterMs = performance.now() - start;
  const { user, system } = process.cpuUsage(cpu);
  assert.ok(
    "snapshot" in result,
    "problems" in result ? result.problems.slice(0, 3).map(formatProblem).join("\n") : "",
  );
  assert.equal(result.snapshot.dns?.zones.find((zone) => zone.file.includes("large"))?.recordCount, RECORDS);
  const again = performance.now();
  compile(files, options);
  const reloadMs = performance.now() - again;
  t.diagnostic(
    `${RECORDS} records: ${Math.round(loadedAfterMs)} ms, ${Math.round((user + system) / 1_000)} ms of CPU; again without a change: ${Math.round(reloadMs)} ms`,
  );
});
