/**
 * `npm run bench -- NAME [--quick] [--json FILE] …`: runs `bench/NAME.ts` with the rest of the arguments.
 *
 * Each benchmark is a program of its own, so that none runs in a process that another has warmed up.
 * @module
 */
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";

const names = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith(".ts") && file !== "run.ts")
  .map((file) => file.slice(0, -3));
const [name, ...rest] = process.argv.slice(2);
if (name === undefined || !names.includes(name)) {
  const isHelp = name === "--help" || name === "-h";
  const text = `Usage: npm run bench -- NAME [--quick] [--json FILE]\nNames: ${names.join(", ")}\nExample: npm run bench -- dns --quick\n`;
  if (isHelp) process.stdout.write(text);
  else process.stderr.write(name === undefined ? text : `There is no benchmark ${JSON.stringify(name)}.\n${text}`);
  process.exit(isHelp ? 0 : 2);
}
const { status } = spawnSync(process.execPath, [`${import.meta.dirname}/${name}.ts`, ...rest], { stdio: "inherit" });
process.exit(status ?? 1);
