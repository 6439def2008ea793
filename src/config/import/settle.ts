/**
 * A draft → files that `rhumb check` accepts. What it would refuse is taken out, and said.
 *
 * Never:   touches files: what was made is compiled from memory.
 * @module
 */
import { hasErrors, type Problem } from "#base/problem.ts";
import { type CompileContext, compile, createCompileContext, type Summary } from "#config/compile.ts";
import type { ConfigFiles } from "#config/files.ts";
import type { Draft, Entry } from "#config/import/draft.ts";
import type { Note, Notes } from "#config/import/notes.ts";
import { type ImportedFile, renderFiles, ZONE_HEAD_LINES } from "#config/import/render.ts";

export type Imported = {
  /** None: nothing of use was there. */
  readonly files: readonly ImportedFile[];
  readonly notes: readonly Note[];
  readonly summary: Summary | undefined;
};

/** Each round takes out what the one before has laid bare; what is not settled by then never is. */
const MAX_ROUNDS = 24;

const NO_FILES: ConfigFiles = {
  root: { file: "rhumb.yaml", text: "" },
  folder: "/",
  regions: undefined,
  services: undefined,
  geoOverrides: undefined,
  healthOverrides: undefined,
  checks: [],
  zones: [],
  include: () => undefined,
  secrets: new Map(),
  scripts: new Map(),
  certificates: new Map(),
  missingDatabases: [],
  unreadable: [],
  sources: [],
  secretFiles: [],
  watched: { files: [], listed: [], folders: [] },
  digest: "",
};

/** The files as the loader would have read them. */
export function filesOf(files: readonly ImportedFile[]): ConfigFiles {
  const textOf = (path: string) => {
    const found = files.find((file) => file.path === path);
    return found && { file: path, text: found.text };
  };
  const within = (folder: string, ending: string) =>
    files
      .filter(({ path }) => path.startsWith(folder) && path.endsWith(ending) && path !== "zones/services.yaml")
      .map(({ path, text }) => ({ file: path, text, name: path.slice(folder.length, -ending.length) }));
  return {
    ...NO_FILES,
    root: textOf("rhumb.yaml") ?? NO_FILES.root,
    regions: textOf("geo-data/regions.yaml"),
    services: textOf("zones/services.yaml"),
    geoOverrides: textOf("geo-data/overrides.yaml"),
    checks: within("health/", ".yaml"),
    zones: within("zones/", ".zone").map(({ file, text, name }) => ({ file, text, origin: `${name}.` })),
  };
}

/** One rule of a listener with others: the listener need not go as a whole. */
function takeOutRule(listener: Entry | undefined, steps: readonly string[]): Entry | undefined {
  const rules = listener?.value["rules"];
  if (!listener || !Array.isArray(rules) || rules.length < 2 || steps[3] !== "rules" || !/^\d+$/.test(steps[4] ?? ""))
    return undefined;
  listener.value = { ...listener.value, rules: rules.toSpliced(Number(steps[4]), 1) };
  return { value: {}, at: { ...listener.at, directive: `rule ${Number(steps[4]) + 1} of ${steps[2]}` } };
}

/** Removes what a problem is about. @returns the entry that is gone, or undefined where it is about none */
function takeOut(draft: Draft, { file, path, line }: Problem): Entry<unknown> | undefined {
  const steps = path.split(/[.[\]]+/);
  const remove = (entries: Map<string, Entry>, name: string | undefined): Entry | undefined => {
    const entry = name === undefined ? undefined : entries.get(name);
    if (name !== undefined) entries.delete(name);
    return entry;
  };
  const { balancer, dns, checks } = draft;
  if (file === "rhumb.yaml") {
    if (steps[0] === "balancer" && steps[1] === "listeners")
      return takeOutRule(balancer.listeners.get(steps[2] ?? ""), steps) ?? remove(balancer.listeners, steps[2]);
    if (steps[0] === "balancer" && steps[1] === "pools") return remove(balancer.pools, steps[2]);
    if (steps[0] === "dns" && dns.listen.length > 0) dns.listen.length = 0;
    return undefined;
  }
  if (file === "geo-data/regions.yaml") return remove(dns.regions, steps[0]);
  if (file === "zones/services.yaml") return remove(dns.services, steps[0]);
  if (file === "geo-data/overrides.yaml") {
    const index = Number(steps[1] || "-1");
    return index < 0 ? undefined : dns.overrides.splice(index, 1)[0];
  }
  if (file.startsWith("health/")) return remove(checks, file.slice("health/".length, -".yaml".length));
  const zone = dns.zones.get(file.slice("zones/".length, -".zone".length));
  const record = zone?.splice(line - 1 - ZONE_HEAD_LINES, 1)[0];
  if (zone?.length === 0) dns.zones.delete(file.slice("zones/".length, -".zone".length));
  return record && { value: record.text, at: record.at };
}

/** A service without its region is a service of the others: it need not go as a whole. */
function forgetMissing(draft: Draft): void {
  const { regions, services, overrides } = draft.dns;
  const isThere = (name: unknown): boolean => regions.has(String(name));
  for (const entry of services.values()) {
    const members = entry.value["regions"];
    if (Array.isArray(members)) entry.value = { ...entry.value, regions: members.filter(isThere) };
    else if (typeof members === "object" && members !== null)
      entry.value = {
        ...entry.value,
        regions: Object.fromEntries(Object.entries(members).filter(([name]) => isThere(name))),
      };
  }
  for (const entry of overrides) {
    const members = entry.value["regions"];
    if (Array.isArray(members)) entry.value = { ...entry.value, regions: members.filter(isThere) };
  }
  for (const entry of [...regions.values(), ...draft.balancer.pools.values()]) {
    const { check, ...rest } = entry.value;
    if (typeof check === "string" && check !== "none" && !draft.checks.has(check)) entry.value = rest;
  }
}

const isNothing = ({ balancer, dns }: Draft): boolean =>
  balancer.listeners.size + balancer.pools.size + dns.regions.size + dns.zones.size === 0;

function checkOnce(files: readonly ImportedFile[], context: CompileContext) {
  const generation = { epoch: 1, sequence: 1 };
  // Time matters to certificates and overrides alone, and there are none here.
  return compile(filesOf(files), { ...context, generation, nowMs: 0, secrets: "warn" });
}

export function settle(draft: Draft, notes: Notes): Imported {
  for (let round = 0; round < MAX_ROUNDS && !isNothing(draft); round++) {
    const files = renderFiles(draft);
    const result = checkOnce(
      files,
      createCompileContext((octets) => new Uint8Array(octets), 1),
    );
    if (!("problems" in result) || !hasErrors(result.problems))
      return { files, notes: notes.list(), summary: result.summary };
    // From the last line to the first: taking out moves what stands behind.
    const errors = result.problems.filter(({ severity }) => severity === "error");
    const told = new Set<string>();
    for (const problem of errors.sort((a, b) => b.line - a.line)) {
      const isByKey = !problem.file.endsWith(".zone") && !problem.file.endsWith("overrides.yaml");
      const rule = /^balancer\.listeners\.[^.]+\.rules\[\d+\]/.exec(problem.path)?.[0];
      const place = `${problem.file}:${rule ?? (isByKey ? problem.path : (/^\[\d+\]/.exec(problem.path)?.[0] ?? problem.line))}`;
      if (told.has(place)) continue;
      told.add(place);
      const gone = takeOut(draft, problem);
      if (gone) notes.leftOut(gone.at, problem.says, problem.fix);
    }
    forgetMissing(draft);
  }
  return { files: [], notes: notes.list(), summary: undefined };
}
