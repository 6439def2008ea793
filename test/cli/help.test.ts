/** Help: every command has an example that itself is right use, and quick to get. */
import assert from "node:assert/strict";
import test from "node:test";
import type { Command } from "commander";
import { buildProgram } from "#cli/run.ts";
import { readVersion } from "#cli/version.ts";
import { rhumb } from "./rhumb.ts";

function walk(command: Command, path: string[] = []): { path: string[]; command: Command }[] {
  return [{ path, command }, ...command.commands.flatMap((child) => walk(child, [...path, child.name()]))];
}
const program = buildProgram(() => {});
const all = walk(program).filter(({ command }) => command.name() !== "help");

function helpOf(command: Command): string {
  let text = "";
  command.configureOutput({
    writeOut(part) {
      text += part;
    },
  });
  command.outputHelp();
  return text;
}

test("every command's help describes it and has an example that calls it", () => {
  assert.ok(all.length > 25);
  for (const { path, command } of all) {
    const help = helpOf(command);
    const example =
      /\nExample:\n((?: {2}.+\n?)+)/.exec(help)?.[1] ?? assert.fail(`rhumb ${path.join(" ")} --help has no example`);
    assert.ok(example.trim().startsWith(`rhumb ${path.join(" ")}`.trim()), `rhumb ${path.join(" ")}: ${example}`);
    assert.ok(command.description().length > 10, path.join(" "));
    for (const option of command.options) assert.ok(option.description, `${path.join(" ")} ${option.flags}`);
  }
});

test("the examples are right use: each of their options and commands exists", () => {
  for (const { path, command } of all) {
    for (const line of helpOf(command)
      .split("\nExample:\n")[1]!
      .split("\n")
      .filter((text) => text.startsWith("  rhumb"))) {
      const words = line
        .trim()
        .split(/[|<>]/)[0]!
        .match(/"[^"]*"|\S+/g)!
        .slice(1);
      let at = program;
      let index = 0;
      for (; index < words.length; index++) {
        const next = at.commands.find((child) => child.name() === words[index]);
        if (!next) break;
        at = next;
      }
      if (path.length > 0) assert.notEqual(at, program, line);
      for (const word of words.slice(index).filter((text) => text.startsWith("-"))) {
        assert.ok(
          at.options.some(({ long, short }) => long === word || short === word),
          `${line}: ${word}`,
        );
      }
    }
  }
});

test("every command that asks a node takes --api, --token and --json", () => {
  const asking = [
    "status",
    "explain",
    "events",
    "queries",
    "classes",
    "list",
    "clear",
    "approve",
    "show",
    "export",
    "reload",
    "put",
    "kill",
    "heal",
    "start",
    "stop",
    "up",
    "down",
    "drain",
    "ignore-health",
  ];
  const leaves = all.filter(
    ({ path, command }) => command.commands.length === 0 && path.join(" ") !== "start" && path[0] !== "drill",
  );
  for (const { path, command } of leaves.filter(({ path }) => asking.includes(path.at(-1) ?? ""))) {
    const flags = command.options.map(({ long }) => long);
    for (const flag of ["--api", "--token", "--json"]) assert.ok(flags.includes(flag), `${path.join(" ")} ${flag}`);
  }
});

test("--help exits 0 on standard output, a mistake exits 2 on standard error", async () => {
  const help = await rhumb(["override", "drain", "--help"]);
  assert.deepEqual([help.code, help.err], [0, ""]);
  assert.match(help.out, /Example:/);
  const version = await rhumb(["version", "--json"]);
  assert.deepEqual(JSON.parse(version.out), { rhumb: readVersion(), node: process.versions.node });
  assert.equal((await rhumb(["--version"])).out, `${readVersion()}\n`);
});
