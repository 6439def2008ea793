/** docs/going-live.md: what can run here runs here, with its folders below one of our own; its settings check. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import test, { after } from "node:test";
import { promisify } from "node:util";
import { parse, stringify } from "yaml";
import { childEnv } from "../cli/rhumb.ts";

const root = join(import.meta.dirname, "../..");
const page = readFileSync(join(root, "docs/going-live.md"), "utf8");
const folder = mkdtempSync(join(tmpdir(), "rhumb-live-"));
after(() => rmSync(folder, { recursive: true }));

type Block = { readonly info: string; readonly text: string };
const blocks: Block[] = [...page.matchAll(/^```(.*)\n([\s\S]*?)^```$/gm)].map((match) => ({
  info: match[1]!,
  text: match[2]!,
}));
/** The folders of the page, below ours, and back. */
const PLACES = /\/(?:etc\/rhumb|var\/lib\/rhumb|var\/backups)\b/g;
const inside = (text: string): string => text.replace(PLACES, (place) => folder + place);
/** What differs from run to run: TTLs carry jitter. */
const settle = (line: string): string => line.replaceAll(folder, "").replace(/ \d+ IN /, " N IN ");

let cwd = folder;
async function shell(command: string): Promise<{ code: number; out: string }> {
  const bin = join(folder, "bin");
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(bin, "rhumb"), `#!/bin/sh\nexec "${process.execPath}" "${join(root, "bin/rhumb")}" "$@"\n`, {
    mode: 0o755,
  });
  const env = childEnv({ PATH: `${bin}:${dirname(process.execPath)}:${process.env["PATH"] ?? ""}` });
  const { promise, resolve } = Promise.withResolvers<{ code: number; out: string }>();
  // The working folder carries over from command to command, as in a terminal.
  const script = `${inside(command)}\ncode=$?\npwd > "${folder}/pwd"\nexit $code`;
  execFile("/bin/sh", ["-c", script], { cwd, env }, (error, out, err) => {
    cwd = readFileSync(join(folder, "pwd"), "utf8").trim();
    resolve({ code: error ? Number(error.code ?? 1) : 0, out: out + err });
  });
  return promise;
}

/** A session: commands after `$ `, and below each the lines that it must print; `…` stands for any. */
async function play(session: string): Promise<void> {
  for (const part of session.split(/^\$ /m).slice(1)) {
    const [command = "", ...shown] = part.trimEnd().split("\n");
    const { code, out } = await shell(command);
    assert.equal(code, 0, `${command}\n${out}`);
    const lines = out.split("\n").map(settle);
    for (const line of shown) {
      if (line !== "…") assert.ok(lines.includes(settle(line)), `${command}\nprinted\n${out}\nwithout\n${line}`);
    }
  }
}

test("the page's sessions print what the page shows, from init to restore", async () => {
  const sessions = blocks.filter(({ info }) => info === "sh test");
  assert.ok(sessions.length >= 3);
  for (const { info, text } of blocks) {
    if (info === "sh test") await play(text);
    if (info === "yaml" && text.startsWith("version: 1"))
      writeFileSync(join(folder, "etc/rhumb/rhumb.yaml"), inside(text));
  }
});

type Map_ = Record<string, unknown>;
const isMap = (value: unknown): value is Map_ => typeof value === "object" && value !== null && !Array.isArray(value);
const merge = (base: Map_, over: Map_): Map_ => {
  const merged = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const below = merged[key];
    merged[key] = isMap(below) && isMap(value) ? merge(below, value) : value;
  }
  return merged;
};

test("each other rhumb.yaml checks, and each fragment when it is laid over the whole one", async () => {
  const whole = blocks.find(({ info, text }) => info === "yaml" && text.startsWith("version: 1"))!;
  const fragments = blocks.filter((block) => block.info === "yaml" && block !== whole);
  assert.ok(fragments.length >= 3);
  for (const { text } of fragments) {
    const own = parse(inside(text)) as Map_;
    const merged = "version" in own ? own : merge(parse(inside(whole.text)) as Map_, own);
    writeFileSync(join(folder, "etc/rhumb/fragment.yaml"), stringify(merged));
    const { code, out } = await shell("rhumb check -c /etc/rhumb/fragment.yaml");
    assert.equal(code, 0, `${text}\n${out}`);
  }
});

test("each rhumb command of the page exists", async () => {
  const commands = new Set(
    blocks
      .filter(({ info }) => info.startsWith("sh"))
      .flatMap(({ text }) => [
        ...text.matchAll(/(?:^|[\s/])rhumb (override drain|override clear|geo lookup|notify test|[a-z]+)/gm),
      ])
      .map((match) => match[1]!),
  );
  assert.ok(commands.size >= 8);
  for (const command of commands) {
    const { code, out } = await shell(`rhumb ${command} --help`);
    assert.equal(code, 0, `rhumb ${command}\n${out}`);
  }
});

const ANALYZE = "/usr/bin/systemd-analyze";
test("systemd takes the unit, and the drop-in of balancers", {
  skip: !existsSync(ANALYZE) && !process.env["CI"] && "systemd-analyze is not installed",
}, async () => {
  const unit = readFileSync(join(root, "deploy/systemd/rhumb.service"), "utf8").replaceAll("/opt/rhumb", root);
  const units = join(folder, "units");
  mkdirSync(join(units, "rhumb.service.d"), { recursive: true });
  writeFileSync(join(units, "rhumb.service"), unit);
  const verify = async (): Promise<string> => {
    const env = { ...process.env, SYSTEMD_UNIT_PATH: `${units}:` };
    const words = ["verify", "--man=no", join(units, "rhumb.service")];
    const { stdout, stderr } = await promisify(execFile)(ANALYZE, words, { env });
    return `${stdout}${stderr}`;
  };
  assert.equal(await verify(), "");
  const dropIn = blocks.find(({ info }) => info === "ini")!;
  writeFileSync(join(units, "rhumb.service.d/balancer.conf"), dropIn.text);
  assert.equal(await verify(), "");
});
