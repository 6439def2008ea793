import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { findUser, saySpawnFault } from "#health/probes/script.ts";
import { checkOf, probe, temporaryFolder } from "./bed.ts";

function script(t: TestContext, body: string, over: object = {}) {
  const folder = temporaryFolder(t);
  const file = join(folder, "check.sh");
  writeFileSync(file, `#!/bin/sh\n${body}\n`, { mode: 0o755 });
  return { folder, check: checkOf({ kind: "script", file, args: [], user: undefined, ...over }) };
}
const isAlive = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
};
/** Waits for what the operating system does in its own time; the test's own time-out is the limit. */
async function gone(pid: number): Promise<void> {
  while (isAlive(pid)) await new Promise((resolve) => setImmediate(resolve));
}

test("a script that exits 0 passes, and has no round trip", async (t) => {
  const result = await probe(script(t, "exit 0").check);
  assert.deepEqual([result.ok, result.rttMicros, result.says], [true, 0, "exit status 0"]);
  assert.ok(result.phases.totalMicros > 0);
});

test("a script that fails says its status and its first line", async (t) => {
  const result = await probe(script(t, "echo replica lags >&2\necho more\nexit 3").check);
  assert.deepEqual([result.ok, result.errorClass, result.says], [false, "script", "exit status 3: replica lags"]);
});

test("a script sees its target and arguments, and nothing else of our environment", async (t) => {
  process.env["RHUMB_TEST_SECRET"] = "secret";
  t.after(() => delete process.env["RHUMB_TEST_SECRET"]);
  const { check, folder } = script(t, 'env | sort > seen\necho "$1" "$2" >> seen', {
    args: ["two words", "--host={address}"],
  });
  assert.equal((await probe(check)).ok, true);
  const seen = readFileSync(join(folder, "seen"), "utf8");
  assert.match(seen, /^RHUMB_ADDRESS=127\.0\.0\.1$/m);
  assert.match(seen, /^RHUMB_CHECK=test$/m);
  assert.match(seen, /^PATH=\/usr\/local\/bin:\/usr\/bin:\/bin$/m);
  assert.match(seen, /^two words --host=127\.0\.0\.1$/m);
  assert.doesNotMatch(seen, /SECRET|HOME=/);
});

test("a time-out kills the script and its children", async (t) => {
  const { check, folder } = script(t, "sleep 600 &\necho $! > child\necho $$ > self\nmv self ready\nwait", {
    timeoutMs: 600,
  });
  const result = await probe(check);
  assert.deepEqual([result.ok, result.errorClass], [false, "timeout"]);
  if (!existsSync(join(folder, "ready"))) return; // killed before it could do anything: as dead as it gets
  await gone(Number(readFileSync(join(folder, "ready"), "utf8")));
  await gone(Number(readFileSync(join(folder, "child"), "utf8")));
});

test("children that outlive the script are killed, and do not hold up the result", async (t) => {
  const { check, folder } = script(t, "sleep 600 &\necho $! > child\nexit 0");
  const result = await probe(check);
  assert.equal(result.ok, true, result.says);
  await gone(Number(readFileSync(join(folder, "child"), "utf8")));
});

test("endless output is read and thrown away", async (t) => {
  const { check } = script(t, "head -c 3000000 /dev/zero | tr '\\0' x\nexit 1");
  const result = await probe(check);
  assert.equal(result.errorClass, "script");
  assert.ok(result.says.length < 300);
});

test("a script that cannot be started is our own fault", async (t) => {
  const { check } = script(t, "exit 0");
  const missing = await probe({ ...check, file: "/nowhere/check.sh" } as typeof check);
  assert.deepEqual([missing.errorClass, /it is not there/.test(missing.says)], ["self", true]);
  const nobody = await probe({ ...check, user: "no-such-user" } as typeof check);
  assert.deepEqual([nobody.errorClass, /no user no-such-user/.test(nobody.says)], ["self", true]);
});

test("saySpawnFault() names what an operator can mend", () => {
  const fault = (code: string) => Object.assign(new Error(`spawn ${code}`), { code });
  assert.equal(saySpawnFault(fault("EPERM"), "probe"), "only root may run it as probe");
  assert.match(saySpawnFault(fault("EACCES"), undefined), /not executable/);
  assert.equal(saySpawnFault(fault("E2BIG"), undefined), "spawn E2BIG");
});

test("findUser() reads passwd lines and numbers", () => {
  const passwd = "root:x:0:0:root:/root:/bin/sh\nprobe:x:990:980::/:/bin/false\n";
  assert.deepEqual(findUser("probe", passwd), { uid: 990, gid: 980 });
  assert.deepEqual(findUser("12:34", passwd), { uid: 12, gid: 34 });
  assert.equal(findUser("prob", passwd), undefined);
});
