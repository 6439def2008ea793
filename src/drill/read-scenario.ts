/**
 * Text of `drills/*.yaml` → a scenario with all defaults filled in, or all that is wrong with it, with positions.
 * @module
 */
import { readFileSync } from "node:fs";
import { basename } from "node:path";
import { RhumbError } from "#base/errors.ts";
import { hasErrors, type Problem } from "#base/problem.ts";
import { formatDurationMs } from "#base/units.ts";
import { readValue } from "#config/read-value.ts";
import { type Path, parseYaml, pathText, type YamlSource } from "#config/yaml.ts";
import { ACTION_TABLE, STEP_OPTIONS, type StepOption, TARGET_FORMS, targetKind } from "#drill/actions.ts";
import { type DrillFile, drillSchema, type StepEntry } from "#drill/config.ts";
import type { Bound, Measure, Scenario, Step } from "#drill/scenario.ts";

/** What the stages get: the option's name in `Step.options`. */
const OPTION_NAMES: Readonly<Record<StepOption, string>> = {
  by: "ms",
  share: "share",
  factor: "factor",
  up: "upMs",
  down: "downMs",
  times: "times",
  change: "change",
};

type Report = (path: Path, says: string, fix: string) => void;

const formsOf = (kinds: readonly (keyof typeof TARGET_FORMS)[]): string =>
  kinds.map((kind) => TARGET_FORMS[kind].form).join(", ");

function checkStep(step: StepEntry, index: number, needs: DrillFile["needs"], report: Report): void {
  const at: Path = ["steps", index];
  const { targets, options, mayHave, needs: needed } = ACTION_TABLE[step.do];
  const kind = targetKind(step.target);
  if (kind === undefined || !targets.includes(kind))
    report(
      [...at, "target"],
      `\`${step.do}\` cannot be done to ${JSON.stringify(step.target)}`,
      `Write one of: ${formsOf(targets)}`,
    );
  for (const option of STEP_OPTIONS) {
    const isGiven = step[option] !== undefined;
    if (isGiven && ![...options, ...mayHave].includes(option))
      report([...at, option], `\`${step.do}\` takes no \`${option}\``, "Remove it");
    if (!isGiven && options.includes(option))
      report(at, `\`${step.do}\` wants \`${option}\``, `Add \`${option}:\`; docs/drills.md has an example`);
  }
  for (const need of needed) {
    if (!needs.includes(need))
      report([...at, "do"], `\`${step.do}\` cannot be done without ${need}`, `Add ${need} to \`needs\``);
  }
}

/** Order of time, and that each `heal` has something to heal. */
function checkSteps(file: DrillFile, report: Report): void {
  const disturbed = new Set<string>();
  for (const [index, step] of file.steps.entries()) {
    checkStep(step, index, file.needs, report);
    const before = file.steps[index - 1]?.at ?? file.calm;
    if (step.at < before)
      report(
        ["steps", index, "at"],
        index === 0
          ? `The first step comes before \`calm\` (${formatDurationMs(file.calm)}) is over`
          : "This step comes before the one above it",
        index === 0 ? "Begin later, or shorten `calm`" : "Write steps in order of time",
      );
    if (step.do !== "heal") disturbed.add(step.target);
    else if (!disturbed.delete(step.target))
      report(
        ["steps", index, "target"],
        `Nothing was done to ${JSON.stringify(step.target)} that could be healed`,
        disturbed.size === 0 ? "Remove the step" : `Name one of: ${[...disturbed].join(", ")}`,
      );
  }
}

function checkTimes(file: DrillFile, durationMs: number, report: Report): void {
  const last = file.steps.at(-1)?.at ?? 0;
  if (durationMs < last) report(["duration"], "The load ends before the last step", "Make it longer");
  if (durationMs > file.guards.maxDuration)
    report(
      ["guards", "maxDuration"],
      `The drill lasts ${formatDurationMs(durationMs)}, longer than ${formatDurationMs(file.guards.maxDuration)}`,
      "Raise `guards.maxDuration`, or shorten the drill",
    );
  if (file.load.anycast.rps > 0 && !file.needs.includes("exabgp"))
    report(["load", "anycast", "rps"], "There is no anycast address without ExaBGP", "Add exabgp to `needs`");
}

function checkExpect(file: DrillFile, report: Report): void {
  for (const [measure, bound] of Object.entries(file.expect)) {
    if (bound && Object.values(bound).every((value) => value === undefined))
      report(["expect", measure], "Nothing is expected here", "Write `max:`, `p99:` or `min:`, or remove it");
  }
}

function stepsOf(file: DrillFile, source: YamlSource): Step[] {
  return file.steps.map((entry, index) => {
    const place = source.at(["steps", index]);
    const options: Record<string, number | string> = {};
    for (const option of STEP_OPTIONS) {
      const value = entry[option];
      if (value !== undefined) options[OPTION_NAMES[option]] = value;
    }
    return {
      atMs: entry.at,
      action: entry.do,
      target: entry.target,
      options,
      place: `${place.file}:${place.line}:${place.column}`,
    };
  });
}

function expectOf(file: DrillFile): Partial<Record<Measure, Bound>> {
  const given = Object.entries(file.expect).filter(([, bound]) => bound !== undefined);
  const clean = (bound: object): Bound =>
    Object.fromEntries(Object.entries(bound).filter(([, value]) => value !== undefined));
  return Object.fromEntries(given.map(([measure, bound]) => [measure, clean(bound!)]));
}

/**
 * @param problems gets all that is wrong with the text
 * @returns undefined when the text cannot be used
 */
export function readScenario(file: string, text: string, problems: Problem[]): Scenario | undefined {
  const found: Problem[] = [];
  const source = parseYaml(file, text, found);
  const read = source.value === undefined ? undefined : readValue(source, [], drillSchema, source.value, found);
  if (!read) {
    problems.push(...found);
    return undefined;
  }
  const report: Report = (path, says, fix) =>
    found.push({ ...source.at(path), path: pathText(path), severity: "error", says, fix });
  const durationMs = read.duration ?? (read.steps.at(-1)?.at ?? 0) + read.calm;
  checkSteps(read, report);
  checkTimes(read, durationMs, report);
  checkExpect(read, report);
  problems.push(...found);
  if (hasErrors(found)) return undefined;
  return {
    file,
    name: read.name,
    shows: read.shows,
    needs: read.needs,
    stages: read.stages,
    world: read.world,
    load: read.load,
    calmMs: read.calm,
    steps: stepsOf(read, source),
    durationMs,
    guards: {
      errorRate: read.guards.errorRate,
      maxDurationMs: read.guards.maxDuration,
      minHealthyRegions: read.guards.minHealthyRegions,
      isAlone: read.guards.alone,
    },
    expect: expectOf(read),
    continents: read.continents,
  };
}

/** The short name of a drill: `drills/region-outage.yaml` is `region-outage`. */
export const drillId = (file: string): string => basename(file).replace(/\.ya?ml$/, "");

/** @throws RhumbError RHUMB_CONFIG_UNREADABLE */
export function loadScenario(file: string, problems: Problem[]): Scenario | undefined {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    throw new RhumbError("RHUMB_CONFIG_UNREADABLE", file, { cause });
  }
  return readScenario(file, text, problems);
}
