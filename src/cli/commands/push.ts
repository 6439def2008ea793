/** `rhumb config push|diff|log|rollback|resolve`: the configuration that all nodes are to serve. @module */
import type { Command } from "commander";
import { RhumbError } from "#base/errors.ts";
import { formatProblem } from "#base/problem.ts";
import { type ApiOptions, apiCommand, clientFor, wrongUse } from "#cli/command.ts";
import { type Colour, complain, formatSpan, paint, plain, say, sayJson, table } from "#cli/output.ts";
import type { ConfigChange, ConfigPush, LoggedVersion } from "#cli/shapes.ts";

export function sayChange(change: ConfigChange, isJson: boolean | undefined): void {
  if (isJson) {
    sayJson(change);
    return;
  }
  for (const problem of change.problems) complain(plain(formatProblem(problem)));
  for (const line of change.changes) say(plain(line));
  if (change.isDryRun) say("Dry run: the change is valid; nothing was applied");
  else say(change.changes.length === 0 ? "Nothing has changed" : `Generation ${change.generation} serves`);
}

const DIFF_COLOURS: Readonly<Record<string, Colour>> = { "+": "green", "-": "red", "@": "dim" };
function sayDiff(diff: string): void {
  for (const line of diff.replace(/\n$/, "").split("\n")) {
    if (line === "" && diff === "") continue;
    const isHead = line.startsWith("+++ ") || line.startsWith("--- ");
    say(paint(plain(line), isHead ? "bold" : DIFF_COLOURS[line[0] ?? ""]));
  }
}

function sayPush(push: ConfigPush, isJson: boolean | undefined): void {
  if (push.isDryRun && !isJson) sayDiff(push.diff);
  sayChange(push, isJson);
  if (!push.isDryRun && !isJson && push.version !== null) say(`Version ${push.version} is desired of all nodes`);
}

type PushOptions = ApiOptions & {
  readonly config: string;
  readonly reason: string;
  readonly breakGlass?: string;
  readonly dryRun?: boolean;
  readonly drop?: readonly string[];
  readonly basedOn?: string;
};

/** All of the folder, or some files: then the others stay as they were pushed. */
async function textsToPush(paths: readonly string[], { config, drop }: PushOptions) {
  const { collectTexts, nameOf, openPushFolder, readOwnTexts } = await import("#config/pushed-files.ts");
  const folder = openPushFolder(config);
  const dropped = Object.fromEntries((drop ?? []).map((name) => [name, null]));
  if (paths.length === 0 && drop === undefined) {
    const { files, leftOut } = collectTexts(folder);
    for (const { file, why } of leftOut) complain(`${plain(file)} stays each node's own: ${why}`);
    if (Object.keys(files).length === 0) throw new RhumbError("RHUMB_CONFIG_UNREADABLE", `${config}: nothing to push`);
    return { files, partial: false };
  }
  const names = paths.map(
    (path) =>
      nameOf(folder, path) ?? wrongUse(`${path}: no zone, services, regions, geo overrides or check of ${config}`),
  );
  const texts = readOwnTexts(folder, names);
  const missing = paths.find((_, index) => texts[names[index]!] === undefined);
  if (missing !== undefined) throw new RhumbError("RHUMB_CONFIG_UNREADABLE", missing);
  return { files: { ...texts, ...dropped }, partial: true };
}

const pushCommand = (): Command =>
  apiCommand(
    "push",
    "give zones, services, regions, geo overrides and checks to all nodes, through any of them",
    'rhumb config push -c rhumb.yaml --reason "move www" --dry-run',
  )
    .argument("[files...]", "some files alone; the others stay as they are. Default: all")
    .option("-c, --config <path>", "rhumb.yaml, or a folder with zones/, geo-data/ and health/", "rhumb.yaml")
    .option("--reason <text>", "why; the log keeps it", "")
    .option("--drop <names...>", "no longer push these, such as zones/old.zone: each node's own file serves again")
    .option("--based-on <version>", "refuse it if another version is desired by now")
    .option("--break-glass <reason>", "also when answers vanish, or too many of them change")
    .option("--dry-run", "check it and say what would change")
    .action(async (paths: string[], options: PushOptions) => {
      const { reason, breakGlass, basedOn, dryRun } = options;
      const body = { ...(await textsToPush(paths, options)), reason, breakGlass, basedOn };
      const push = await clientFor(options).call("PUT", `/config?dryRun=${dryRun === true}`, body);
      sayPush(push as ConfigPush, options.json);
    });

const STATE_COLOURS: Readonly<Record<string, Colour>> = {
  serves: "green",
  refused: "red",
  fork: "red",
  waiting: "yellow",
};
const logCommand = (): Command =>
  apiCommand(
    "log",
    "versions of the desired configuration: who, when, why, and what became of them here",
    "rhumb config log",
  ).action(async (options: ApiOptions) => {
    const log = (await clientFor(options).call("GET", "/config/log")) as LoggedVersion[];
    if (options.json) return sayJson(log);
    if (log.length === 0) return say("nothing was pushed yet: each node serves its own files");
    const rows = log.map(({ version, atMs, actor, reason, breakGlass, state, says }) => [
      version,
      `${formatSpan(Date.now() - atMs)} ago`,
      actor,
      { text: state, colour: STATE_COLOURS[state] },
      [reason, breakGlass && `glass broken: ${breakGlass}`].filter(Boolean).join("; ") || "-",
      says || "-",
    ]);
    say(table(["VERSION", "WHEN", "WHO", "HERE", "WHY", "WHAT"], rows));
  });

const diffCommand = (): Command =>
  apiCommand(
    "diff",
    "what differs between a node's own files and what was pushed, or between two versions",
    "rhumb config diff 1.4.ns1 1.5.ns1",
  )
    .argument("[from]", "a version, disk or none", "disk")
    .argument("[to]", "the same; default: what is desired")
    .action(async (from: string, to: string | undefined, options: ApiOptions) => {
      const query = new URLSearchParams({ from, ...(to === undefined ? {} : { to }) });
      const answer = (await clientFor(options).call("GET", `/config/diff?${query}`)) as { diff: string };
      if (options.json) sayJson(answer);
      else if (answer.diff === "") say("nothing differs");
      else sayDiff(answer.diff);
    });

const rollbackCommand = (): Command =>
  apiCommand("rollback", "take the last push back, or go to a version, on all nodes", "rhumb config rollback 1.4.ns1")
    .argument("[version]", "as `rhumb config log` shows it; none: each node's own files")
    .option("--reason <text>", "why; the log keeps it", "")
    .option("--break-glass <reason>", "also when answers vanish, or too many of them change")
    .action(async (version: string | undefined, options: PushOptions) => {
      const { reason, breakGlass } = options;
      const push = await clientFor(options).call("POST", "/config/rollback", { version, reason, breakGlass });
      sayPush(push as ConfigPush, options.json);
    });

const resolveCommand = (): Command =>
  apiCommand(
    "resolve",
    "settle a conflict: nodes that were apart were changed on both sides",
    "rhumb config resolve --take 1.5.ns2",
  )
    .requiredOption("--take <version>", "the version that all nodes are to serve")
    .option("--reason <text>", "why; the log keeps it", "")
    .action(async (options: ApiOptions & { take: string; reason: string }) => {
      const { take, reason } = options;
      sayPush((await clientFor(options).call("POST", "/config/resolve", { take, reason })) as ConfigPush, options.json);
    });

/** Writes what was pushed as files, so that a folder, or a repository, says it as well. */
export async function exportInto(folder: string, isForced: boolean, options: ApiOptions): Promise<void> {
  const [{ existsSync, mkdirSync, readFileSync, writeFileSync }, { dirname }, pushed] = await Promise.all([
    import("node:fs"),
    import("node:path"),
    import("#config/pushed-files.ts"),
  ]);
  const { files } = (await clientFor(options).call("GET", "/config/desired")) as { files: Record<string, string> };
  const into = pushed.openPushFolder(folder);
  const wanted = Object.entries(files).map(([name, text]) => {
    return { full: pushed.pathIn(into, name) ?? wrongUse(`${name}: no name of a pushed file`), text };
  });
  const other = wanted.find(({ full, text }) => existsSync(full) && readFileSync(full, "utf8") !== text);
  if (other && !isForced) throw new RhumbError("RHUMB_CONFIG_EXPORT_OCCUPIED", other.full);
  for (const { full, text } of wanted) {
    mkdirSync(dirname(full), { recursive: true });
    writeFileSync(full, text);
    say(`wrote ${full}`);
  }
  if (wanted.length === 0) say("nothing was pushed yet");
}

export const pushCommands = (): Command[] => [
  pushCommand(),
  diffCommand(),
  logCommand(),
  rollbackCommand(),
  resolveCommand(),
];
