/**
 * Runs several drills one after another: what they need first, then a stage for each world, shared by those that want the
 * same one, and a folder with a report for each run.
 * @module
 */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { RhumbError } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import { isOnPurpose, movedRegion } from "#drill/actions.ts";
import { takeLock } from "#drill/lock.ts";
import type { Progress } from "#drill/progress.ts";
import { drillId } from "#drill/read-scenario.ts";
import type { DrillReport } from "#drill/report/shape.ts";
import { writeReport } from "#drill/report/write-report.ts";
import { runDrill } from "#drill/run-drill.ts";
import type { Need, Scenario } from "#drill/scenario.ts";
import type { MissingNeeds, Stage } from "#drill/stage.ts";
import type { StageName, StageOptions } from "#drill/stages.ts";

export type Ran = { readonly report: DrillReport; readonly json: string; readonly html: string };

export type RunsOptions = {
  readonly scenarios: readonly Scenario[];
  readonly stage: StageName;
  /** Each drill runs so often. */
  readonly repeat: number;
  /** Reports and what processes said go below it. */
  readonly out: string;
  readonly version: string;
  readonly progress: Progress;
  readonly signal: AbortSignal;
  readonly log: Log;
  readonly missingNeeds: MissingNeeds;
  readonly openStage: (name: StageName, options: StageOptions) => Promise<Stage>;
  /** Called with the last stage instead of stopping it, while it stands. */
  readonly keep?: (stage: Stage) => Promise<void>;
  readonly lockFile?: string;
  readonly seed?: number;
  readonly settleMs?: number;
};

/** Needs that are a stage's own. */
const STAGE_NEEDS: Readonly<Record<StageName, readonly Need[]>> = { local: [], compose: ["docker"] };
/** What a compose stage brings along in its images. */
const BROUGHT_ALONG: Readonly<Record<StageName, readonly Need[]>> = {
  local: [],
  compose: ["redis", "exabgp", "root"],
};

const needsOf = ({ needs }: Pick<Scenario, "needs">, stage: StageName): Need[] => [
  ...STAGE_NEEDS[stage],
  ...needs.filter((need) => !BROUGHT_ALONG[stage].includes(need)),
];

/** @throws RhumbError RHUMB_DRILL_NEEDS, RHUMB_DRILL_CANNOT */
export async function checkNeeds(
  scenarios: readonly Scenario[],
  stage: StageName,
  missingNeeds: MissingNeeds,
): Promise<void> {
  const elsewhere = scenarios.find(({ stages }) => !stages.includes(stage));
  if (elsewhere)
    throw new RhumbError("RHUMB_DRILL_CANNOT", `${elsewhere.file} is for the stage ${elsewhere.stages.join(", ")}`);
  const needs = [...new Set([...STAGE_NEEDS[stage], ...scenarios.flatMap((scenario) => needsOf(scenario, stage))])];
  const missing = await missingNeeds(needs);
  if (missing.length > 0) {
    const says = missing.map(({ need, fix }) => {
      const who = scenarios
        .filter((scenario) => needsOf(scenario, stage).includes(need))
        .map(({ file }) => drillId(file));
      return `${need} for ${who.join(", ")}: ${fix}`;
    });
    throw new RhumbError("RHUMB_DRILL_NEEDS", says.join("; "));
  }
}

/** @throws RhumbError RHUMB_DRILL_CANNOT, with each step that the stage cannot do and why */
function checkSteps(scenarios: readonly Scenario[], stage: Stage): void {
  const problems = scenarios.flatMap(({ steps }) =>
    steps.flatMap((step) => {
      const why = stage.can(step);
      return why === undefined ? [] : [`${step.place}: ${step.action} ${step.target}: ${why}`];
    }),
  );
  if (problems.length > 0) throw new RhumbError("RHUMB_DRILL_CANNOT", problems.join("; "));
}

/**
 * For a quarter of an hour nodes remember that a region has failed, and take it back later each time (`health/failback.ts`):
 * the next drill is to begin with nodes that know of nothing.
 */
const failsRegion = ({ steps }: Scenario): boolean =>
  steps.some((step) => movedRegion(step) !== undefined && !isOnPurpose(step));

/** Drills that can share a stage stand together: first those after which it can be used again, then by the command line. */
function groupsOf(scenarios: readonly Scenario[]): Scenario[][] {
  const worldOf = ({ world, needs }: Scenario): string => JSON.stringify([world, [...needs].sort()]);
  return [...Map.groupBy(scenarios, worldOf).values()].map((group) =>
    group.toSorted((a, b) => Number(failsRegion(a)) - Number(failsRegion(b))),
  );
}

/** `20261122T041501` */
const stamp = (ms: number): string => new Date(ms).toISOString().slice(0, 19).replace(/[-:]/g, "");

type Stand = Pick<RunsOptions, "stage" | "out" | "log" | "progress" | "missingNeeds" | "openStage">;

/** @returns a stage that serves, for all of these drills. @throws what it throws; nothing is left of it then */
async function startStage(options: Stand, group: readonly Scenario[], name: string): Promise<Stage> {
  const folder = join(options.out, name);
  mkdirSync(folder, { recursive: true });
  const { world = {}, needs = [] } = group[0] ?? {};
  const stage = await options.openStage(options.stage, { world, needs, folder, log: options.log });
  checkSteps(group, stage);
  options.progress.line(`starting the stage ${stage.name}: ${folder}`);
  try {
    await stage.start();
  } catch (error) {
    await stage.stop();
    throw error;
  }
  return stage;
}

/** A stage alone, for as long as `use` takes. Throws like `runDrills`. */
export async function standUp(
  options: Stand & { readonly scenario: Scenario | undefined },
  use: (stage: Stage) => Promise<void>,
): Promise<void> {
  const group = options.scenario ? [options.scenario] : [];
  await checkNeeds(group, options.stage, options.missingNeeds);
  const unlock = takeLock();
  try {
    const stage = await startStage(options, group, `stage-${stamp(Date.now())}`);
    await use(stage).finally(() => stage.stop());
  } finally {
    unlock();
  }
}

type Open = { stage: Stage; isClean: boolean };

/**
 * @returns the reports, in the order in which drills ran; fewer when somebody stopped it
 * @throws RhumbError where needs are missing, a step cannot be done, a stage does not start, or another drill runs
 */
export async function runDrills(options: RunsOptions): Promise<Ran[]> {
  const { scenarios, repeat, out, progress, signal, keep } = options;
  await checkNeeds(scenarios, options.stage, options.missingNeeds);
  const unlock = takeLock(options.lockFile);
  const startedMs = Date.now();
  const ran: Ran[] = [];
  let open: Open | undefined;
  let stages = 0;

  async function openFor(group: readonly Scenario[]): Promise<Open> {
    const name = `stage-${stamp(startedMs)}${stages++ === 0 ? "" : `-${stages}`}`;
    return { stage: await startStage(options, group, name), isClean: true };
  }
  async function close(): Promise<void> {
    await open?.stage.stop();
    open = undefined;
  }
  async function runOne(scenario: Scenario, turn: number, stage: Stage): Promise<DrillReport> {
    const { seed = 1, version, settleMs } = options;
    progress.line(`${scenario.name}${repeat > 1 ? ` (${turn} of ${repeat})` : ""}: ${scenario.shows}`);
    const report = await runDrill({
      scenario,
      stage,
      seed: seed + turn * 1_000,
      version,
      progress,
      signal,
      ...(settleMs === undefined ? {} : { settleMs }),
    });
    progress.end();
    const folder = join(out, `${drillId(scenario.file)}-${stamp(report.startedAtMs)}`);
    ran.push({ report, ...writeReport(report, folder) });
    return report;
  }

  try {
    for (const group of groupsOf(scenarios)) {
      await close();
      for (const scenario of group) {
        for (let turn = 1; turn <= repeat && !signal.aborted; turn++) {
          // What a drill has left behind must not stand in the next one's way.
          if (open && !open.isClean) await close();
          open ??= await openFor(group);
          const report = await runOne(scenario, turn, open.stage);
          open.isClean = report.leftOver.length === 0 && report.outcome !== "broken" && !failsRegion(scenario);
        }
      }
    }
    if (keep && open) await keep(open.stage);
    return ran;
  } finally {
    progress.end();
    try {
      await close();
    } finally {
      unlock();
    }
  }
}
