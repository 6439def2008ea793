/**
 * docs/balancing.md, and the balancer of README.md: its sessions print what it shows, against a balancer that runs its first configuration with the
 * addresses of the page mapped to loopback; their other settings check when they are laid over that one; its commands exist.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { parse, stringify } from "yaml";
import { rhumb as runRhumb } from "../cli/rhumb.ts";
import { projectFolder, startRhumb } from "./running.ts";
import { folderWith, freePort } from "./tools.ts";

type Map_ = Record<string, unknown>;
type Block = { readonly info: string; readonly text: string };

const readPage = (file: string): string => readFileSync(join(projectFolder, file), "utf8");
const blocksOf = (text: string): Block[] =>
  [...text.matchAll(/^```(.*)\n([\s\S]*?)^```$/gm)].map((match) => ({ info: match[1]!, text: match[2]! }));
const page = readPage("docs/balancing.md");
const blocks = blocksOf(page);
const isWhole = ({ info, text }: Block): boolean => info === "yaml" && text.startsWith("version: 1");
const whole = blocks.find(isWhole)!;

/** A backend that accepts, as all that a TCP check wants. */
async function acceptor(context: TestContext): Promise<number> {
  const server = createServer((socket) => socket.on("error", () => {}).end());
  context.after(() => server.close());
  await once(server.listen(0, "127.0.0.1"), "listening");
  return (server.address() as { port: number }).port;
}

/** The page's addresses and folder, and what stands for them here. */
async function world(context: TestContext) {
  const folder = folderWith(context, { "run/token": "0123456789abcdef01234567" });
  mkdirSync(join(folder, "state"));
  const apiPort = await freePort();
  const places: [string, string][] = [
    ["192.0.2.10:80", `127.0.0.1:${await freePort()}`],
    ["127.0.0.1:8053", `127.0.0.1:${apiPort}`],
    ["/var/lib/rhumb", join(folder, "state")],
  ];
  for (const name of ["10.0.0.11:80", "10.0.0.12:80", "10.0.0.13:80"])
    places.push([name, `127.0.0.1:${await acceptor(context)}`]);
  const inside = (text: string): string => places.reduce((all, [from, to]) => all.replaceAll(from, to), text);
  /** Ids are made from addresses, columns are as wide as those; on loopback a first check may be over at once. */
  const settle = (line: string): string =>
    places
      .reduce((all, [from, to]) => all.replaceAll(to, from), line)
      .replace(/backend-[0-9a-f]{6}/g, "backend-ID")
      .replace("healthy until its first check", "unknown until its first check")
      .replace(/\s+/g, " ")
      .trimEnd();
  const env = { RHUMB_API: `http://127.0.0.1:${apiPort}` };
  const rhumb = (...words: string[]) => runRhumb(words, { cwd: folder, env });
  return { folder, inside, settle, rhumb };
}
type World = Awaited<ReturnType<typeof world>>;

/** Words of a command as the shell has them, quotes considered. */
const wordsOf = (command: string): string[] =>
  [...command.matchAll(/"([^"]*)"|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain!);

/** Commands after `$ rhumb `, and below each the lines that it must print; `…` stands for any. */
async function play(session: string, { inside, settle, rhumb }: World): Promise<void> {
  for (const part of session.split(/^\$ rhumb /m).slice(1)) {
    const [command = "", ...shown] = part.trimEnd().split("\n");
    const { code, out, err } = await rhumb(...wordsOf(inside(command)));
    assert.equal(code, 0, `${command}\n${out}${err}`);
    const lines = out.split("\n").map(settle);
    for (const line of shown)
      if (line !== "…") assert.ok(lines.includes(settle(line)), `rhumb ${command}\nprinted\n${out}\nwithout\n${line}`);
  }
}

test("the page's sessions print what the page shows", { timeout: 60_000 }, async (t) => {
  const here = await world(t);
  const [check, ...others] = blocks.filter(({ info }) => info === "sh test");
  assert.ok(check && others.length >= 3, "the page has sessions");
  writeFileSync(join(here.folder, "rhumb.yaml"), here.inside(whole.text));
  await play(check.text, here);
  const node = startRhumb(t, ["start", "-c", "rhumb.yaml"], here.folder);
  await node.printed(/Control API on/);
  for (let healthy = 0; healthy < 2; ) {
    const { out } = await here.rhumb("backend", "list", "--json");
    healthy = (JSON.parse(out) as { status: string }[]).filter(({ status }) => status === "healthy").length;
    t.signal.throwIfAborted();
  }
  for (const { text } of others) await play(text, here);
  node.signal("SIGTERM");
  assert.equal(await node.ended, 0);
});

const isMap = (value: unknown): value is Map_ => typeof value === "object" && value !== null && !Array.isArray(value);
const merge = (base: Map_, over: Map_): Map_ => {
  const merged = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const below = merged[key];
    merged[key] = isMap(below) && isMap(value) ? merge(below, value) : value;
  }
  return merged;
};

test("each fragment of rhumb.yaml checks when it is laid over the first configuration", async (t) => {
  const { folder, inside, rhumb } = await world(t);
  const ofReadme = blocksOf(readPage("README.md")).filter(({ text }) => /^balancer:$/m.test(text));
  assert.ok(ofReadme.length > 0);
  const fragments = [...blocks.filter((block) => block.info === "yaml" && !isWhole(block)), ...ofReadme];
  assert.ok(fragments.length >= 5);
  for (const { text } of fragments) {
    const merged = merge(parse(inside(whole.text)) as Map_, parse(inside(text)) as Map_);
    writeFileSync(join(folder, "fragment.yaml"), stringify(merged));
    const { code, out, err } = await rhumb("check", "-c", "fragment.yaml");
    assert.equal(code, 0, `${text}\n${out}${err}`);
  }
});

test("each test that the page names exists", () => {
  const named = [...page.matchAll(/`(test\/[^`]+)`/g)].map((match) => match[1]!);
  assert.ok(named.length >= 10);
  for (const file of named) assert.ok(existsSync(join(projectFolder, file)), file);
});

test("each rhumb command of the page exists", async (t) => {
  const { rhumb } = await world(t);
  const commands = new Set(
    [...page.matchAll(/[`$] ?rhumb ((?:backend|pool|listener|override|config) [a-z]+|[a-z]+)/g)].map(
      (match) => match[1]!,
    ),
  );
  assert.ok(commands.size >= 8);
  for (const command of commands) {
    const { code, out, err } = await rhumb(...command.split(" "), "--help");
    assert.equal(code, 0, `rhumb ${command}\n${out}${err}`);
  }
});
