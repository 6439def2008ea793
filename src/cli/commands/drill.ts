/** `rhumb drill list|check|run|report|stage|load`: failover drills, and the reports that they leave. @module */
import { existsSync, globSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { RhumbError } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import { formatProblem, type Problem } from "#base/problem.ts";
import { command, type Exit, wrongUse } from "#cli/command.ts";
import { type Colour, complain, formatSpan, plain, say, sayJson, table } from "#cli/output.ts";
import { readVersion } from "#cli/version.ts";
import type { Progress } from "#drill/progress.ts";
import type { DrillReport, Outcome } from "#drill/report/shape.ts";
import type { Scenario } from "#drill/scenario.ts";
import type { Stage } from "#drill/stage.ts";
import type { StageName } from "#drill/stages.ts";

const installed = join(import.meta.dirname, "../../..");

/** Drills of the working folder, else those that come with rhumb. */
const drillFolder = (): string => (existsSync("drills") ? "drills" : join(installed, "drills"));

/** @returns what could be read; problems of the rest are told */
async function readAll(files: readonly string[]): Promise<{ scenarios: Scenario[]; problems: Problem[] }> {
  const { loadScenario } = await import("#drill/read-scenario.ts");
  const problems: Problem[] = [];
  const scenarios = files.flatMap((file) => loadScenario(file, problems) ?? []);
  for (const problem of problems) complain(plain(formatProblem(problem)));
  return { scenarios, problems };
}

/** Names such as `region-outage` stand for files of the drills folder. */
const fileOf = (word: string): string =>
  existsSync(word) || /[/.]/.test(word) ? word : join(drillFolder(), `${word}.yaml`);

function stageName(word: string): StageName {
  if (word === "local" || word === "compose") return word;
  return wrongUse(`--stage ${word}: local or compose`);
}

function listCommand(): Command {
  return command("list", "drills, how long they take and what they need", "rhumb drill list")
    .argument("[folder]", "where drills lie (default: drills/)")
    .option("--json", "print drills as JSON")
    .action(async (folder: string | undefined, { json }: { json?: boolean }) => {
      const files = globSync(join(folder ?? drillFolder(), "*.{yaml,yml}")).sort();
      if (files.length === 0) throw new RhumbError("RHUMB_CONFIG_UNREADABLE", folder ?? drillFolder());
      const { scenarios } = await readAll(files);
      if (json) return sayJson(scenarios);
      const { missingNeeds } = await import("#drill/stage/needs.ts");
      const missing = new Set((await missingNeeds(scenarios.flatMap(({ needs }) => needs))).map(({ need }) => need));
      const rows = scenarios.map(({ file, name, needs, stages, durationMs }) => [
        file,
        name,
        formatSpan(durationMs),
        stages.join(", "),
        needs.length === 0
          ? "-"
          : {
              text: needs.map((need) => (missing.has(need) ? `${need} (not here)` : need)).join(", "),
              colour: needs.some((need) => missing.has(need)) ? ("yellow" as const) : undefined,
            },
      ]);
      say(table(["FILE", "NAME", "LOAD", "STAGES", "NEEDS"], rows));
    });
}

function checkCommand(exit: Exit): Command {
  return command("check", "read drills, and say all that is wrong with them", "rhumb drill check drills/*.yaml")
    .argument("<files...>", "drills")
    .action(async (files: string[]) => {
      const { scenarios, problems } = await readAll(files.map(fileOf));
      if (problems.length > 0) return exit(1);
      say(scenarios.length === 1 ? "The drill is valid" : `All ${scenarios.length} drills are valid`);
    });
}

const OUTCOME_COLOURS: Readonly<Record<Outcome, Colour>> = {
  passed: "green",
  failed: "red",
  aborted: "yellow",
  broken: "red",
};

function logTo(progress: Progress): Log {
  const tell = (_fields: unknown, says: string): void => progress.line(plain(says));
  return { debug() {}, info() {}, warn: tell, error: tell };
}

/** The first Ctrl-C ends a drill in order; the second ends the process, and with it all that the stage has started. */
function stopOnSignals(progress: Progress): AbortSignal {
  const stop = new AbortController();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    process.on(signal, () => {
      if (stop.signal.aborted) process.exit(1);
      progress.line("stopping: everything is put back first; once more ends at once");
      stop.abort();
    });
  }
  return stop.signal;
}

async function describeStage(stage: Stage): Promise<void> {
  const rows = [
    ...stage.nodes.map(({ name, dns, api }) => ["DNS node", name, `${dns.address} port ${dns.port}`, api]),
    ...stage.regions.map(({ id, addresses, port }) => ["region", id, `${addresses.join(", ")} port ${port}`, "-"]),
    ...stage.clients.map(({ continent, network, resolvers }) => [
      "clients",
      continent,
      `ask ${resolvers.map(({ address, port }) => `${address} port ${port}`).join(", ")}`,
      network,
    ]),
  ];
  say(table(["WHAT", "NAME", "WHERE", "API OR NETWORK"], rows));
  const [node] = stage.nodes;
  if (node) say(`\nThe token of its API: ${node.token}`);
}

const untilAborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    // An event of a signal keeps no process alive.
    const timer = setInterval(() => {}, 60_000);
    const end = (): void => {
      clearInterval(timer);
      resolve();
    };
    if (signal.aborted) end();
    else signal.addEventListener("abort", end, { once: true });
  });

type RunFlags = {
  readonly stage: string;
  readonly out: string;
  readonly repeat: string;
  readonly seed: string;
  readonly keep?: boolean;
  readonly json?: boolean;
};

function wholeNumber(option: string, text: string, least: number): number {
  const value = Number(text);
  return Number.isInteger(value) && value >= least && value <= 1_000_000
    ? value
    : wrongUse(`${option} ${text}: a whole number from ${least}`);
}

async function run(words: readonly string[], flags: RunFlags): Promise<number> {
  const stage = stageName(flags.stage);
  const repeat = wholeNumber("--repeat", flags.repeat, 1);
  const seed = wholeNumber("--seed", flags.seed, 0);
  const { scenarios, problems } = await readAll(words.map(fileOf));
  if (problems.length > 0) return 2;
  const { runDrills } = await import("#drill/run-drills.ts");
  const { createProgress } = await import("#drill/progress.ts");
  const { openStage } = await import("#drill/stages.ts");
  const { missingNeeds } = await import("#drill/stage/needs.ts");
  const progress = createProgress(process.stderr);
  const signal = stopOnSignals(progress);
  const keep = async (standing: Stage): Promise<void> => {
    await describeStage(standing);
    progress.line("The stage stands until Ctrl-C.");
    await untilAborted(signal);
  };
  const ran = await runDrills({
    scenarios,
    stage,
    repeat,
    seed,
    out: flags.out,
    version: readVersion(),
    progress,
    signal,
    log: logTo(progress),
    missingNeeds,
    openStage,
    ...(flags.keep ? { keep } : {}),
  });
  if (flags.json) sayJson(ran.map(({ report, json, html }) => ({ ...summaryOf(report), json, html })));
  else for (const each of ran) await tell(each);
  if (!flags.json && ran.length > 1) say(summaryTable(ran.map(({ report }) => report)));
  if (!flags.json && repeat > 1) await tellTogether(ran.map(({ report }) => report));
  const wanted = scenarios.length * repeat;
  return ran.length === wanted && ran.every(({ report }) => report.outcome === "passed") ? 0 : 1;
}

function summaryOf({ drill, outcome, says, measures, slo, leftOver }: DrillReport) {
  return { drill: drill.file, name: drill.name, stage: drill.stage, outcome, says, measures, slo, leftOver };
}

async function tell({ report, html }: { report: DrillReport; html: string }): Promise<void> {
  const { textReport } = await import("#drill/report/text-report.ts");
  say(plain(textReport(report)));
  say(`The report, with plots: ${html}\n`);
}

function summaryTable(reports: readonly DrillReport[]): string {
  return table(
    ["DRILL", "OUTCOME", "WHAT CAME OF IT"],
    reports.map(({ drill, outcome, says }) => [drill.name, { text: outcome, colour: OUTCOME_COLOURS[outcome] }, says]),
  );
}

/** Of each drill that ran several times: its measures with the samples of all runs. */
async function tellTogether(reports: readonly DrillReport[]): Promise<void> {
  const { mergeMeasures } = await import("#drill/measures.ts");
  const { boundText, MEASURE_WORDS, metText, valueText } = await import("#drill/report/words.ts");
  for (const [, list] of Map.groupBy(reports, ({ drill }) => drill.file)) {
    const rows = mergeMeasures(list.map(({ measures }) => measures)).map((result) => {
      const text = (value: number | null): string => (value === null ? "-" : valueText(value, result.unit));
      const { word, tone } = metText(result.isMet);
      return [
        MEASURE_WORDS[result.measure].name,
        String(result.samples.length),
        text(result.p50),
        text(result.p99),
        text(result.most),
        result.bound ? boundText(result.bound, result.unit) : "-",
        { text: word, colour: tone === "bad" ? ("red" as const) : tone === "good" ? ("green" as const) : undefined },
      ];
    });
    say(`\n${list[0]!.drill.name}, ${list.length} runs together`);
    say(table(["MEASURE", "SAMPLES", "P50", "P99", "MOST", "BOUND", "MET"], rows));
  }
}

function runCommand(exit: Exit): Command {
  return command(
    "run",
    "run drills: a world of its own under load, what goes wrong in it, and what that does to clients",
    "rhumb drill run drills/region-outage.yaml --stage local\nrhumb drill run region-outage --repeat 5",
  )
    .argument("<drills...>", "files, or names of shipped drills")
    .option("--stage <name>", "local (processes on loopback) or compose (containers)", "local")
    .option("--out <folder>", "where reports go", "run/drills")
    .option("--repeat <n>", "run each so often", "1")
    .option("--seed <n>", "of the chance in the load", "1")
    .option("--keep", "leave the stage running afterwards, to look at, until Ctrl-C")
    .option("--json", "print outcomes and measures as JSON")
    .addHelpText("after", "\nExit codes: 0 all passed; 1 failed, aborted or broken; 2 wrong use, or a need is missing.")
    .action(async (words: string[], flags: RunFlags) => exit(await run(words, flags)));
}

function reportCommand(): Command {
  return command(
    "report",
    "print what came of a drill, and write its page again; of several runs of one drill, what changed",
    "rhumb drill report run/drills/region-outage-20270101T120000/report.json",
  )
    .argument("<files...>", "report.json files")
    .option("--json", "print outcomes and measures as JSON")
    .action(async (files: string[], { json }: { json?: boolean }) => {
      const { readReport, writeReport } = await import("#drill/report/write-report.ts");
      const reports = files.map((file) => readReport(file));
      if (json) return sayJson(reports.map(summaryOf));
      for (const [index, report] of reports.entries()) {
        const { html } = writeReport(report, join(files[index]!, ".."));
        await tell({ report, html });
      }
      if (reports.length < 2) return;
      const { compareReports } = await import("#drill/report/compare-reports.ts");
      const compared = compareReports(reports);
      say(compared === undefined ? summaryTable(reports) : plain(compared));
    });
}

function stageCommand(): Command {
  return command("stage", "start a stage alone, to look at, until Ctrl-C", "rhumb drill stage --stage local")
    .argument("[drill]", "with the world and needs of this drill")
    .option("--stage <name>", "local or compose", "local")
    .option("--out <folder>", "where what processes say goes", "run/drills")
    .action(async (word: string | undefined, flags: { stage: string; out: string }) => {
      const name = stageName(flags.stage);
      const { scenarios, problems } = await readAll(word === undefined ? [] : [fileOf(word)]);
      if (problems.length > 0) return wrongUse(`${word}: not a valid drill`);
      const { createProgress } = await import("#drill/progress.ts");
      const { standUp } = await import("#drill/run-drills.ts");
      const { openStage } = await import("#drill/stages.ts");
      const { missingNeeds } = await import("#drill/stage/needs.ts");
      const progress = createProgress(process.stderr);
      const signal = stopOnSignals(progress);
      const options = { stage: name, out: flags.out, progress, log: logTo(progress), missingNeeds, openStage };
      await standUp({ ...options, scenario: scenarios[0] }, async (stage) => {
        await describeStage(stage);
        say("\nIt stands until Ctrl-C.");
        await untilAborted(signal);
      });
    });
}

function loadCommand(): Command {
  return command(
    "load",
    "make load: one order as JSON on standard input, counts as JSON lines",
    "rhumb drill load",
  ).action(async () => {
    const { runLoad } = await import("#drill/load/run-load.ts");
    // Ctrl-C reaches the whole group: whoever gave the order says when it is over, and wants the last seconds too.
    if (!process.stdin.isTTY) process.on("SIGINT", () => {});
    await runLoad(process.stdin, process.stdout);
  });
}

export function drillCommand(exit: Exit): Command {
  const drill = command(
    "drill",
    "failover drills: what clients notice when a region, a node or a route is lost",
    "rhumb drill run drills/region-outage.yaml --stage local",
  );
  const children = [
    listCommand(),
    checkCommand(exit),
    runCommand(exit),
    reportCommand(),
    stageCommand(),
    loadCommand(),
  ];
  for (const child of children) drill.addCommand(child);
  return drill;
}
