/**
 * The tour of README.md is what really happens: each `$ ` command of its `sh` blocks runs, in order, against one demo
 * world, exits 0, and prints the lines that the page shows. The page names the default ports, so this one test uses
 * them: it fails when something else holds 5300, 8053 or 8080, and says who.
 */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { projectFolder, run, startRhumb } from "../system/running.ts";
import { folderWith, without } from "../system/tools.ts";

type Step = { readonly command: string; readonly shown: readonly string[] };

/** Commands of all fenced `sh` blocks with what is shown below each. */
function readSteps(markdown: string): Step[] {
  const steps: { command: string; shown: string[] }[] = [];
  for (const [, block = ""] of markdown.matchAll(/^```sh\n([\s\S]*?)^```$/gm)) {
    let step: (typeof steps)[number] | undefined;
    for (const line of block.trimEnd().split("\n")) {
      if (line.startsWith("$ ")) {
        step = { command: line.slice(2), shown: [] };
        steps.push(step);
      } else step?.shown.push(line);
    }
  }
  return steps;
}

/** What differs from run to run: times, process ids, generations, TTLs with their jitter, and how wide columns are. */
const comparable = (line: string): string =>
  line
    .trimEnd()
    .replace(/^\d{4}-\d\d-\d\dT[0-9:.]+Z/, "TIME")
    .replace(/process(es)? \d+(, \d+)*/g, "process N")
    .replace(/^generation +\S+/, "generation N")
    .replace(/^ttl +\d+s/, "ttl Ns")
    .replace(/\s\d+\s+IN\s/, " N IN ")
    .replace(/\s+/g, " ");

/** Each line shown must come, in this order; more may come in between. */
function assertShows({ command, shown }: Step, output: string): void {
  const lines = output.split("\n").map(comparable);
  let from = 0;
  for (const line of shown.map(comparable)) {
    const at = lines.indexOf(line, from);
    assert.ok(at >= 0, `\`${command}\` does not print the line\n  ${line}\nIt prints:\n${output}`);
    from = at + 1;
  }
}

test("readSteps() finds commands and what is shown below them", () => {
  const page = "text\n```sh\nnpm ci\n```\n\n```sh\n$ one\nline 1\n\nline 2\n$ two\n```\n```yaml\n$ three\n```\n";
  assert.deepEqual(readSteps(page), [
    { command: "one", shown: ["line 1", "", "line 2"] },
    { command: "two", shown: [] },
  ]);
});

test("assertShows() wants every line in order, and forgives what differs from run to run", () => {
  const step = { command: "x", shown: ["Killed process 12", "www. 30 IN A 192.0.2.1"] };
  assertShows(step, "more\nKilled process 7\nwww.\t28\tIN\tA\t192.0.2.1\n");
  assert.throws(() => assertShows(step, "Killed process 7\nwww. 28 IN A 192.0.2.2\n"), /does not print/);
  assert.throws(() => assertShows(step, "www. 28 IN A 192.0.2.1\nKilled process 7\n"), /does not print/);
});

test("the tour of README.md is what happens", { skip: without("dig", "curl"), timeout: 60_000 }, async (context) => {
  const steps = readSteps(readFileSync(join(projectFolder, "README.md"), "utf8"));
  assert.ok(steps.length >= 8, "the tour has commands");
  const npx = `#!/bin/sh\n[ "$1" = rhumb ] || exit 2\nshift\nexec "${process.execPath}" "${projectFolder}/bin/rhumb" "$@"\n`;
  const folder = folderWith(context, {});
  // `npx rhumb` is bin/rhumb: the package says so, and npx itself would take longer than all the rest.
  const { bin } = JSON.parse(readFileSync(join(projectFolder, "package.json"), "utf8")) as { bin: unknown };
  assert.deepEqual(bin, { rhumb: "bin/rhumb" });
  writeFileSync(join(folder, "npx"), npx, { mode: 0o755 });
  const demo = startRhumb(context, ["demo", "--run", join(folder, "run")], folder);
  await demo.printed(/^ap-south /m);
  for (const step of steps) {
    const { code, out, err } = await run("bash", ["-c", `set -e; PATH=".:$PATH"; ${step.command}`], { cwd: folder });
    assert.equal(code, 0, `${step.command}\n${out}${err}`);
    assertShows(step, out);
  }
  demo.signal("SIGTERM");
  assert.equal(await demo.ended, 0);
});
