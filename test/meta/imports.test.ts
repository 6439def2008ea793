/**
 * The import table: which room may import which (docs/rooms.md shows it as a picture in words). No cycles between files.
 */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { builtinModules } from "node:module";
import { dirname, join, normalize } from "node:path";
import test from "node:test";

const source = join(import.meta.dirname, "../../src");

/** Longest prefix wins. `any` packages: the room composes, so it may take what package.json has. */
const ROOMS: Record<string, { rooms: readonly string[]; packages: readonly string[] | "any" }> = {
  "main.ts": { rooms: ["cli"], packages: "any" },
  app: { rooms: ["*"], packages: "any" },
  cli: {
    rooms: ["base", "state", "dns/wire", "dns/zone", "geo", "steer", "config", "cluster", "app", "drill", "cli"],
    packages: "any",
  },
  config: {
    rooms: [
      "base",
      "state",
      "dns/config.ts",
      "dns/wire",
      "dns/zone",
      "steer",
      "geo",
      "health/config.ts",
      "cluster/config.ts",
      "cluster/postgres/config.ts",
      "rum/config.ts",
      "bgp/config.ts",
      "drill/config.ts",
      "api/config.ts",
      "notify/config.ts",
      "pool/config.ts",
      "l4/config.ts",
      "l7/config.ts",
      "tls/config.ts",
      "l7/rules/config.ts",
    ],
    packages: ["yaml", "zod"],
  },
  api: { rooms: ["base", "state", "metrics"], packages: "any" },
  "api/config.ts": { rooms: ["base", "state"], packages: ["zod"] },
  metrics: { rooms: ["base", "state"], packages: ["prom-client"] },
  notify: { rooms: ["base", "state"], packages: [] },
  "notify/config.ts": { rooms: ["base", "state"], packages: ["zod"] },
  "dns/transport": { rooms: ["base", "state"], packages: [] },
  "dns/guard": { rooms: ["base", "state", "dns/wire"], packages: [] },
  "dns/respond.ts": { rooms: ["base", "state", "dns/wire", "dns/zone", "dns/answer", "dns/guard"], packages: [] },
  "dns/config.ts": { rooms: ["base", "state"], packages: ["zod"] },
  "dns/answer": { rooms: ["base", "state", "dns/wire", "dns/zone", "steer", "geo"], packages: [] },
  "dns/zone": { rooms: ["base", "state", "dns/wire"], packages: [] },
  "dns/wire": { rooms: ["base"], packages: [] },
  l4: { rooms: ["base", "state", "balance", "pool", "tls", "net"], packages: [] },
  l7: { rooms: ["base", "state", "balance", "pool", "tls", "net"], packages: [] },
  "l4/config.ts": {
    rooms: ["base", "state", "pool/config.ts", "l7/config.ts", "tls/config.ts", "cluster/postgres/config.ts"],
    packages: ["zod"],
  },
  "l7/config.ts": { rooms: ["base", "state", "l7/fields.ts", "l7/rules/config.ts"], packages: ["zod"] },
  "l7/rules/config.ts": { rooms: ["base", "state", "l7/fields.ts"], packages: ["zod"] },
  "l7/fields.ts": { rooms: ["base"], packages: ["zod"] },
  "l7/rules": { rooms: ["base", "state", "balance", "pool", "tls", "net", "l7"], packages: ["jose"] },
  net: { rooms: ["base", "state", "pool", "tls"], packages: [] },
  pool: { rooms: ["base", "balance", "state"], packages: [] },
  "pool/config.ts": { rooms: ["base", "state", "pool/outlier-config.ts"], packages: ["zod"] },
  "pool/outlier-config.ts": { rooms: ["base", "state"], packages: ["zod"] },
  tls: { rooms: ["base", "state"], packages: [] },
  "tls/config.ts": { rooms: ["base"], packages: ["zod"] },
  acme: { rooms: ["base", "state", "tls"], packages: ["acme-client"] },
  health: { rooms: ["base", "state"], packages: ["dns2"] },
  "health/config.ts": { rooms: ["base", "state"], packages: ["zod"] },
  cluster: { rooms: ["base", "state"], packages: ["ioredis"] },
  "cluster/postgres": { rooms: ["base", "state"], packages: ["pg"] },
  "cluster/postgres/config.ts": { rooms: ["base", "state"], packages: ["zod"] },
  bgp: { rooms: ["base", "state"], packages: [] },
  "bgp/config.ts": { rooms: ["base", "state"], packages: ["zod"] },
  drill: { rooms: ["base", "dns/wire", "config/yaml.ts", "config/read-value.ts"], packages: ["zod", "yaml", "uplot"] },
  "drill/config.ts": { rooms: ["base", "drill/scenario.ts", "drill/stage.ts"], packages: ["zod"] },
  rum: { rooms: ["base", "state"], packages: [] },
  "rum/config.ts": { rooms: ["base", "state"], packages: ["zod"] },
  "cluster/config.ts": { rooms: ["base", "state"], packages: ["zod"] },
  steer: { rooms: ["base", "state", "balance", "geo"], packages: [] },
  "steer/config.ts": { rooms: ["base", "state"], packages: ["zod"] },
  geo: { rooms: ["base", "state"], packages: ["mmdb-lib"] },
  "geo/config.ts": { rooms: ["base", "state"], packages: ["zod"] },
  balance: { rooms: ["base"], packages: [] },
  state: { rooms: ["base"], packages: [] },
  "base/native": { rooms: ["base"], packages: ["koffi"] },
  "base/field.ts": { rooms: ["base"], packages: ["zod"] },
  base: { rooms: [], packages: [] },
};

const files = globSync("**/*.ts", { cwd: source });
const roomOf = (file: string): string =>
  Object.keys(ROOMS)
    .filter((room) => file === room || file.startsWith(`${room}/`))
    .sort((a, b) => b.length - a.length)[0] ?? assert.fail(`src/${file} lies in no room of the import table`);

/** Specifiers of static and dynamic imports and re-exports. */
function importsOf(file: string): string[] {
  const text = readFileSync(join(source, file), "utf8").replace(/^\s*(\*|\/\/).*$/gm, "");
  return [...text.matchAll(/(?:\bfrom\s*|\bimport\s*\(\s*|^import\s+)["']([^"']+)["']/gm)].map((match) => match[1]!);
}
function resolve(file: string, specifier: string): string | undefined {
  if (specifier.startsWith("#")) return specifier.slice(1);
  if (specifier.startsWith(".")) return normalize(join(dirname(file), specifier));
  return undefined;
}
const allows = (allowed: readonly string[], target: string): boolean =>
  allowed.some((room) => room === "*" || target === room || target.startsWith(`${room}/`));

test("imports point down, as the room table says", () => {
  const wrong: string[] = [];
  for (const file of files) {
    const room = roomOf(file);
    const { rooms, packages } = ROOMS[room]!;
    for (const specifier of importsOf(file)) {
      if (specifier.startsWith("../..")) wrong.push(`src/${file}: "${specifier}" climbs; use "#room/file.ts"`);
      const target = resolve(file, specifier);
      if (target !== undefined) {
        const isOwnRoom = target.startsWith(`${room}/`) || roomOf(target) === room;
        if (!isOwnRoom && !allows(rooms, target)) wrong.push(`src/${file} (${room}) imports ${target}`);
        continue;
      }
      const name = specifier.startsWith("@") ? specifier.split("/").slice(0, 2).join("/") : specifier.split("/")[0]!;
      const isBuiltin = specifier.startsWith("node:");
      if (!isBuiltin && builtinModules.includes(name)) wrong.push(`src/${file}: write node:${name}`);
      else if (!isBuiltin && packages !== "any" && !packages.includes(name))
        wrong.push(`src/${file} (${room}) imports package ${name}`);
    }
  }
  assert.deepEqual(wrong, []);
});

test("no file imports itself by a circle (types aside)", () => {
  const graph = new Map<string, string[]>();
  for (const file of files) {
    const text = readFileSync(join(source, file), "utf8");
    const values = [...text.matchAll(/^(?:import|export)\s+(?!type\b)[^;]*?from\s*["']([^"']+)["']/gm)];
    graph.set(
      file,
      values.map((match) => resolve(file, match[1]!)).filter((target) => target !== undefined),
    );
  }
  const state = new Map<string, "open" | "done">();
  const circles: string[] = [];
  const visit = (file: string, path: string[]): void => {
    if (state.get(file) === "done") return;
    if (state.get(file) === "open") {
      circles.push([...path.slice(path.indexOf(file)), file].join(" -> "));
      return;
    }
    state.set(file, "open");
    for (const next of graph.get(file) ?? []) visit(next, [...path, file]);
    state.set(file, "done");
  };
  for (const file of files) visit(file, []);
  assert.deepEqual(circles, []);
});
