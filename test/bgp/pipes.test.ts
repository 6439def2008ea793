/** Real named pipes: the conversation with a stand-in for ExaBGP, and the guard as ExaBGP runs it. */
import assert from "node:assert/strict";
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  constants,
  existsSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "#base/clock.ts";
import { LinkFault, openExabgp } from "#bgp/exabgp.ts";
import { createHeartbeat, heartbeatLine } from "#bgp/heartbeat.ts";
import { systemPipes } from "#bgp/pipes.ts";
import { without } from "../system/tools.ts";

const skip = without("mkfifo", "python3");
const GUARD = join(import.meta.dirname, "../../deploy/exabgp/rhumb-guard");

function folderFor(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "rhumb-bgp-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}
function pipesIn(folder: string): { in: string; out: string } {
  const paths = { in: join(folder, "in"), out: join(folder, "out") };
  assert.equal(spawnSync("mkfifo", [paths.in, paths.out]).status, 0);
  return paths;
}
/** Reads commands as ExaBGP's helper does, and lets the test answer. */
function peerOf(t: TestContext, paths: { in: string; out: string }) {
  const commands: string[] = [];
  const out = openSync(paths.out, constants.O_RDWR | constants.O_NONBLOCK);
  const peer = {
    commands,
    answer: (_command: string): string => "done\n",
  };
  const reader = systemPipes.openRead(paths.in, (text) => {
    for (const line of text.split("\n").filter(Boolean)) {
      commands.push(line);
      writeSync(out, line === "version" ? "exabgp 4.2.21\ndone\n" : peer.answer(line));
    }
  });
  t.after(() => {
    reader.close();
    closeSync(out);
  });
  return peer;
}
async function until(says: string, fits: () => boolean): Promise<void> {
  const deadlineMs = performance.now() + 15_000;
  while (!fits()) {
    if (performance.now() > deadlineMs) assert.fail(`never: ${says}`);
    await sleep(10);
  }
}

test("openExabgp() passes over what was in the pipe before, and pairs commands with answers", { skip }, async (t) => {
  const paths = pipesIn(folderFor(t));
  const stale = openSync(paths.out, constants.O_RDWR | constants.O_NONBLOCK);
  writeSync(stale, "neighbor of somebody else\ndone\nerror\n");
  const peer = peerOf(t, paths);
  peer.answer = (command) => (command === "bad" ? "error\n" : "one\ntwo\ndone\n");
  const link = await openExabgp(paths, systemPipes, systemClock);
  t.after(link.close);
  closeSync(stale);
  assert.equal(link.version, "4.2.21");
  assert.deepEqual(await link.ask("good"), { isDone: true, lines: ["one", "two"] });
  assert.deepEqual(await link.ask("bad"), { isDone: false, lines: [] });
  assert.deepEqual(peer.commands, ["version", "good", "bad"]);
});

test("openExabgp() says at once that nobody reads, and never blocks on it", { skip }, async (t) => {
  const folder = folderFor(t);
  const paths = pipesIn(folder);
  await assert.rejects(openExabgp(paths, systemPipes, systemClock), (error: Error) => {
    assert.ok(error instanceof LinkFault);
    assert.equal(error.message, `${paths.in}: nobody reads it`);
    return true;
  });
  const missing = { ...paths, out: join(folder, "none") };
  await assert.rejects(openExabgp(missing, systemPipes, systemClock), { message: `${missing.out}: it is not there` });
  writeFileSync(join(folder, "file"), "");
  const file = { ...paths, in: join(folder, "file") };
  await assert.rejects(openExabgp(file, systemPipes, systemClock), { message: `${file.in}: it is not a named pipe` });
});

test("ask() ends with an answer that has no end, and so does everything after it", { skip }, async (t) => {
  const paths = pipesIn(folderFor(t));
  const peer = peerOf(t, paths);
  const link = await openExabgp(paths, systemPipes, systemClock);
  peer.answer = () => "begins\n";
  const asked = link.ask("endless");
  const out = openSync(paths.out, constants.O_RDWR | constants.O_NONBLOCK);
  const flood = setInterval(() => {
    try {
      writeSync(out, `${"x".repeat(4_000)}\n`.repeat(10));
    } catch {} // full: it is read in the next turn
  }, 1);
  await assert.rejects(asked, /its answer has no end/);
  clearInterval(flood);
  closeSync(out);
  await assert.rejects(link.ask("again"), /its answer has no end/);
});

test("beat() says who does not read, and goes on when somebody does", { skip }, (t) => {
  const folder = folderFor(t);
  const path = join(folder, "heartbeat");
  const heartbeat = createHeartbeat(path, systemPipes);
  t.after(heartbeat.close);
  assert.equal(heartbeat.beat([]), `${path}: it is not there`);
  spawnSync("mkfifo", [path]);
  assert.equal(heartbeat.beat([]), `${path}: nobody reads it`);
  const guard = openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  assert.equal(heartbeat.beat(["192.0.2.1/32"]), undefined);
  const full = /the guard does not read/;
  let said: string | undefined;
  for (let beats = 0; beats < 10_000 && said === undefined; beats++) said = heartbeat.beat(["192.0.2.1/32"]);
  assert.match(said ?? "", full);
  closeSync(guard);
  assert.match(heartbeat.beat([]) ?? "", /nobody reads it/);
});

type Guard = { readonly child: ChildProcess; out(): string; err(): string };
async function startGuard(t: TestContext, path: string): Promise<Guard> {
  const child = spawn("python3", [GUARD, path, "0.3"], { stdio: ["pipe", "pipe", "pipe"] });
  let out = "";
  let err = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    err += text;
  });
  t.after(() => child.kill("SIGKILL"));
  const guard = { child, out: () => out, err: () => err };
  await until("the guard reads", () => err.includes("reads"));
  return guard;
}
const count = (text: string, part: string): number => text.split(part).length - 1;

test("the guard withdraws what the last heartbeat named, again for stragglers, and is quiet when it is back", {
  skip,
}, async (t) => {
  const path = join(folderFor(t), "heartbeat");
  const guard = await startGuard(t, path);
  const heartbeat = createHeartbeat(path, systemPipes);
  heartbeat.beat(["192.0.2.1/32"]);
  heartbeat.beat(["192.0.2.1/32", "2001:db8::1/128"]);
  await until("three rounds", () => count(guard.out(), "\n") === 6);
  assert.equal(guard.out(), "withdraw route 192.0.2.1/32\nwithdraw route 2001:db8::1/128\n".repeat(3));
  assert.match(guard.err(), /no heartbeat for 0\.\d s: withdraws 192\.0\.2\.1\/32 2001:db8::1\/128\n/);
  heartbeat.beat(["192.0.2.1/32"]);
  await until("it is back", () => guard.err().includes("the heartbeat is back"));
  heartbeat.close();
  await until("withdrawn once more", () => count(guard.out(), "\n") > 6);
  assert.ok(guard.out().endsWith("withdraw route 192.0.2.1/32\n"));
});

test("the guard takes no junk for a heartbeat, and no junk for a prefix", { skip }, async (t) => {
  const path = join(folderFor(t), "heartbeat");
  const guard = await startGuard(t, path);
  const pipe = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK);
  writeSync(pipe, heartbeatLine(["192.0.2.1/32"]));
  const noise = setInterval(
    () => writeSync(pipe, "rhumb 1 shutdown\nrhumb 2 192.0.2.9/32\n\xff\xfe\nrhumb 1 192.0.2.1/32;shutdown\n"),
    20,
  );
  await until("withdrawn though there is noise", () => guard.out() !== "");
  clearInterval(noise);
  closeSync(pipe);
  assert.match(guard.out(), /^(?:withdraw route 192\.0\.2\.1\/32\n)+$/);
});

test("the guard has nothing to do after a clean stop, and ends with ExaBGP", { skip }, async (t) => {
  const path = join(folderFor(t), "heartbeat");
  const guard = await startGuard(t, path);
  const heartbeat = createHeartbeat(path, systemPipes);
  const remembered = (): string => (existsSync(`${path}.routes`) ? readFileSync(`${path}.routes`, "utf8") : "");
  heartbeat.beat(["192.0.2.1/32"]);
  await until("it has taken note", () => remembered() === "rhumb 1 192.0.2.1/32\n");
  heartbeat.beat([]);
  heartbeat.close();
  await until("it has nothing to guard", () => remembered() === "rhumb 1\n");
  guard.child.stdin!.end();
  const [code] = (await once(guard.child, "exit")) as [number];
  assert.deepEqual([code, guard.out()], [0, ""]);
});

test("a guard that is started anew withdraws what the one before it guarded", { skip }, async (t) => {
  const path = join(folderFor(t), "heartbeat");
  writeFileSync(`${path}.routes`, "rhumb 1 192.0.2.1/32\n");
  const guard = await startGuard(t, path);
  await until("withdrawn", () => guard.out() !== "");
  assert.match(guard.out(), /^withdraw route 192\.0\.2\.1\/32\n/);
});
