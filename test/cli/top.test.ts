/** `rhumb top` against a real API with fake views: one page, and live in a terminal that script(1) makes. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import test, { after, before } from "node:test";
import { createWorld, TOKENS, type World } from "../api/fake-world.ts";
import { without } from "../system/tools.ts";
import { childEnv, mainFile, rhumb } from "./rhumb.ts";

const LEAVE_SCREEN = "\x1b[?25h\x1b[?1049l";
let world: World;
let env: Record<string, string>;
before(async () => {
  world = createWorld();
  env = { RHUMB_API: await world.api.listen(), RHUMB_TOKEN: TOKENS.read };
});
after(() => world.api.close());

for (const { says, words } of [
  { says: "--once prints one page", words: ["--once"] },
  { says: "what is no terminal gets one page", words: [] },
]) {
  test(`${says}, without what steers a terminal`, async () => {
    const { code, out, err } = await rhumb(["top", "--interval", "200ms", "--sort", "p99", ...words], { env });
    assert.equal(code, 0, err);
    assert.match(out, /^rhumb top, us-east {2}1 of 1 workers, sorted by p99$/m);
    assert.match(out, /^web +tcp 127\.0\.0\.1:8080 +3 +0 /m);
    assert.match(out, /^web +10\.0\.0\.1:8080 +healthy +3 +0 +0 +0 +1\.3 +7\.5 +- +0$/m);
    assert.ok(!out.includes("\x1b"));
  });
}

test("--json prints what the API says", async () => {
  assert.equal(JSON.parse((await rhumb(["top", "--json"], { env })).out).region, "us-east");
});

for (const words of [
  ["--interval", "10ms"],
  ["--interval", "soon"],
  ["--sort", "size"],
]) {
  test(`${words.join(" ")} is wrong use`, async () => {
    assert.equal((await rhumb(["top", "--once", ...words], { env })).code, 2);
  });
}

/** A terminal in which `rhumb top` runs. */
function openTerminal() {
  const line = `'${process.execPath}' '${mainFile}' top --interval 200ms`;
  const child = spawn("script", ["-q", "-e", "-f", "-c", line, "/dev/null"], {
    env: childEnv({ ...env, TERM: "xterm", SHELL: "/bin/sh" }),
    stdio: ["pipe", "pipe", "inherit"],
  });
  let out = "";
  let look = (): void => {};
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    out += text;
    look();
  });
  const ended = once(child, "exit").then(([code]) => code as number);
  const shows = (text: string, from = 0): Promise<void> => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    void ended.then(() => reject(new Error(`ended before it showed ${text}: ${JSON.stringify(out)}`)));
    look = () => {
      if (out.includes(text, from)) resolve();
    };
    look();
    return promise;
  };
  return { press: (key: string) => child.stdin.write(key), out: () => out, shows, ended };
}

test("live in a terminal it shows page after page, sorts anew by a key, and leaves the screen as it was", {
  skip: without("script"),
}, async () => {
  const terminal = openTerminal();
  await terminal.shows("sorted by name");
  const length = terminal.out().length;
  await terminal.shows("sorted by name", length);
  terminal.press("s");
  await terminal.shows("sorted by requests");
  terminal.press("q");
  assert.equal(await terminal.ended, 0);
  const out = terminal.out();
  assert.ok(out.includes("\x1b[?1049h\x1b[?25l"));
  assert.ok(out.trimEnd().endsWith(LEAVE_SCREEN), JSON.stringify(out.slice(-80)));
});

test("a terminal is given back when the node cannot be reached any more", { skip: without("script") }, async () => {
  const own = createWorld();
  env = { ...env, RHUMB_API: await own.api.listen() };
  const terminal = openTerminal();
  await terminal.shows("sorted by name");
  await own.api.close();
  assert.equal(await terminal.ended, 1);
  assert.ok(terminal.out().includes(LEAVE_SCREEN));
});
