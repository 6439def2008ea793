/**
 * Runs one drill on a stage that stands: load, steps on time, guards, healing in any case, and the report of it.
 *
 * Never:   starts or stops the stage; knows what processes or containers are.
 * Units:   ms; the Unix clock, which the load processes share.
 * @module
 */
import { cpus, platform, release } from "node:os";
import { setTimeout } from "node:timers/promises";
import { isFault } from "#drill/actions.ts";
import { type Collector, createCollector } from "#drill/collect.ts";
import type { Collected } from "#drill/collected.ts";
import { createDisturber, type Disturber } from "#drill/disturb.ts";
import { createGuards, type GuardKeeper } from "#drill/guards.ts";
import type { LoadSpec } from "#drill/load/protocol.ts";
import { type LoadProcess, startLoadProcess } from "#drill/load-process.ts";
import { drainCurve, serviceLevel } from "#drill/measure-requests.ts";
import { measure } from "#drill/measures.ts";
import { regionsUp, type Word, wordsOf } from "#drill/node-api.ts";
import { type Progress, tickText } from "#drill/progress.ts";
import { type DrillReport, REPORT_VERSION } from "#drill/report/shape.ts";
import type { Scenario } from "#drill/scenario.ts";
import type { ClientPlace, Stage } from "#drill/stage.ts";
import { type Ending, outcomeOf, verdict } from "#drill/verdict.ts";

export type DrillOptions = {
  readonly scenario: Scenario;
  readonly stage: Stage;
  readonly seed: number;
  /** Of rhumb. */
  readonly version: string;
  readonly progress: Progress;
  /** Somebody wants it to end: it heals, and reports what there is. */
  readonly signal: AbortSignal;
  /** How long the stage may take to be as before. */
  readonly settleMs?: number;
};

const SECOND_MS = 1_000;
/** A region that was out is held and ramped before it is as before. */
const SETTLE_MS = 90_000;
const LOOK_MS = 500;

/** Resolves early when `over` comes: nothing is left that would keep the process waiting. */
async function sleep(ms: number, over?: AbortSignal): Promise<void> {
  await setTimeout(Math.max(0, ms), undefined, over && { signal: over }).catch(() => {});
}

/** What the clients of one place do: its part of the whole load. */
function specOf({ scenario, stage, seed }: DrillOptions, place: ClientPlace, places: number): LoadSpec {
  const { dns, http, anycast, name } = scenario.load;
  return {
    place,
    seed: seed + stage.clients.indexOf(place),
    name,
    dns: {
      clients: Math.max(1, Math.round(dns.clients / places)),
      qps: dns.qps / places,
      stretchTtl: dns.stretchTtl,
    },
    http: {
      rps: http.rps / places,
      keepAlive: http.keepAlive,
      retries: http.retries,
      port: stage.regions[0]?.port ?? 80,
    },
    anycastRps: place.anycast ? anycast.rps / places : 0,
    watch: stage.nodes.map(({ name: node, dns: at }) => ({ node, at })),
    regions: Object.fromEntries(
      stage.regions.flatMap(({ id, addresses }) => addresses.map((address) => [address, id])),
    ),
  };
}

/** @returns the first answer of any node */
async function ofAnyNode<T>(stage: Stage, ask: (node: Stage["nodes"][number]) => Promise<T>): Promise<T | undefined> {
  return Promise.any(stage.nodes.map(ask)).catch(() => undefined);
}

/** What stands on any node: an operator's word reaches the others later, and may never reach one. */
async function wordsOfAll(stage: Stage): Promise<readonly Word[]> {
  const all = await Promise.all(stage.nodes.map((node) => wordsOf(node).catch(() => [])));
  return all.flat();
}

type Run = {
  readonly options: DrillOptions;
  readonly collector: Collector;
  readonly disturber: Disturber;
  readonly guards: GuardKeeper;
  readonly loads: readonly LoadProcess[];
  readonly startMs: number;
};

/** @returns words on targets that no step of the drill is about, beyond those that stood at its start */
function strangersOf(words: readonly Word[], before: ReadonlySet<string>, { disturber }: Run): string[] {
  const ours = new Set(disturber.done.map(({ step }) => step.target));
  const strange = words.filter(({ says, target }) => !before.has(says) && !ours.has(target));
  return [...new Set(strange.map(({ says }) => says))];
}

/** Looks each second until `isOver`. @returns why the drill has to end */
async function keepGuard(run: Run, before: ReadonlySet<string>, over: AbortSignal): Promise<string | undefined> {
  const { options, collector, guards, startMs } = run;
  const { stage, scenario, progress } = options;
  for (let second = 1; !over.aborted; second++) {
    await sleep(startMs + second * SECOND_MS - Date.now(), over);
    if (over.aborted) return undefined;
    const up = await ofAnyNode(stage, regionsUp);
    const words = scenario.guards.isAlone ? await wordsOfAll(stage) : [];
    const nowMs = Date.now();
    progress.tick(tickText(collector.seconds, startMs, nowMs, up?.length));
    const why = guards.check({
      elapsedMs: nowMs - startMs,
      nowMs,
      seconds: collector.seconds,
      regionsUp: up?.length,
      strangers: strangersOf(words, before, run),
    });
    if (why !== undefined) return why;
  }
  return undefined;
}

/** Starts each step when it is due, however long those before it take. @throws what a step throws */
async function doSteps({ options, disturber, startMs }: Run, over: AbortSignal): Promise<void> {
  const { scenario, progress } = options;
  const steps = scenario.steps.map(async (step) => {
    await sleep(startMs + step.atMs - Date.now(), over);
    if (over.aborted) return;
    progress.line(`${(step.atMs / SECOND_MS).toFixed(0)} s  ${step.action} ${step.target}`);
    await disturber.act(step).catch((error: unknown) => {
      throw new Error(`${step.place}: ${step.action} ${step.target}: ${(error as Error).message}`, { cause: error });
    });
  });
  await Promise.all(steps);
}

/** From the first step to the end of the load, or to what ends it sooner. */
async function runLoadedPart(run: Run, before: ReadonlySet<string>): Promise<Ending> {
  const { options, loads, startMs } = run;
  const { scenario, signal } = options;
  const over = new AbortController();
  const { promise: ending, resolve: end } = Promise.withResolvers<Ending>();
  const broken = (error: unknown): void => end({ kind: "broken", why: (error as Error).message });
  const stop = (): void => end({ kind: "aborted", why: "somebody stopped it" });
  signal.addEventListener("abort", stop, { once: true });
  if (signal.aborted) stop();
  for (const { failed } of loads) void failed.then((why) => end({ kind: "broken", why }));
  void keepGuard(run, before, over.signal).then((why) => why !== undefined && end({ kind: "aborted", why }), broken);
  const time = sleep(startMs + scenario.durationMs - Date.now(), over.signal);
  void Promise.all([time, doSteps(run, over.signal)]).then(() => end({ kind: "over" }), broken);
  const how = await ending;
  over.abort();
  signal.removeEventListener("abort", stop);
  return how;
}

/** Waits until the stage is as before. @returns what is not, when patience ends */
async function settle({ stage, progress, settleMs = SETTLE_MS }: DrillOptions): Promise<readonly string[]> {
  const untilMs = Date.now() + settleMs;
  for (;;) {
    const left = await stage.differences().catch((error: unknown) => [`nobody can tell: ${(error as Error).message}`]);
    if (left.length === 0 || Date.now() > untilMs) return left;
    progress.tick(
      `waiting until all is as before: ${left[0]}${left.length > 1 ? `, and ${left.length - 1} more` : ""}`,
    );
    await sleep(LOOK_MS);
  }
}

function collectedOf(run: Run, endMs: number): Collected {
  const { collector, disturber, startMs, options } = run;
  return {
    regions: options.stage.regions,
    startedAtMs: startMs,
    endedAtMs: endMs,
    // A step that came to no end was under way until the end.
    steps: disturber.done
      .filter(({ atMs }) => atMs < endMs)
      .map((step) => ({ ...step, doneAtMs: Number.isNaN(step.doneAtMs) ? endMs : step.doneAtMs })),
    seconds: collector.seconds
      .filter(({ atMs }) => atMs >= startMs && atMs < endMs)
      .sort((a, b) => a.atMs - b.atMs || a.continent.localeCompare(b.continent)),
    marks: collector.marks.filter(({ atMs }) => atMs <= endMs).sort((a, b) => a.atMs - b.atMs),
    routes: collector.routes.filter(({ atMs }) => atMs <= endMs),
    events: collector.events.filter(({ atMs }) => atMs >= startMs && atMs <= endMs).sort((a, b) => a.atMs - b.atMs),
  };
}

/** Each list as of the start, and what came after. */
function fromStart<Timed extends { readonly atMs: number }>(
  list: readonly Timed[],
  startMs: number,
  keyOf: (entry: Timed) => string,
): Timed[] {
  const first = new Map(list.filter(({ atMs }) => atMs <= startMs).map((entry) => [keyOf(entry), entry]));
  return [
    ...[...first.values()].map((entry) => ({ ...entry, atMs: startMs })),
    ...list.filter(({ atMs }) => atMs > startMs),
  ];
}

function reportOf(run: Run, collected: Collected, ending: Ending, leftOver: readonly string[]): DrillReport {
  const { options, guards, startMs } = run;
  const { scenario, stage, version } = options;
  const measures = measure(collected, scenario.expect);
  const slo = serviceLevel(collected);
  const answers = collected.marks.filter((mark) => mark.kind === "answer");
  return {
    version: REPORT_VERSION,
    drill: { file: scenario.file, name: scenario.name, shows: scenario.shows, stage: stage.name },
    outcome: outcomeOf({ ending, measures, leftOver }),
    says: verdict({ collected, measures, slo, ending, leftOver }),
    startedAtMs: startMs,
    endedAtMs: collected.endedAtMs,
    machine: {
      cpu: cpus()[0]?.model ?? "unknown",
      cores: cpus().length,
      kernel: `${platform()} ${release()}`,
      node: process.version,
      rhumb: version,
    },
    regions: stage.regions.map(({ id }) => id),
    continents: scenario.continents,
    load: {
      qps: scenario.load.dns.qps,
      rps: scenario.load.http.rps,
      anycastRps: scenario.load.anycast.rps,
      stretchTtl: scenario.load.dns.stretchTtl,
      clients: scenario.load.dns.clients,
    },
    steps: collected.steps.map(({ step, atMs, doneAtMs, says }) => ({
      atMs,
      doneAtMs,
      action: step.action,
      target: step.target,
      isFault: isFault(step),
      says,
    })),
    seconds: collected.seconds,
    routes: fromStart(collected.routes, startMs, ({ router }) => router),
    answers: fromStart(answers, startMs, ({ node, continent }) => `${node} ${continent}`).map(
      ({ atMs, node, continent, regions }) => ({ atMs, node, continent, regions }),
    ),
    events: collected.events,
    measures,
    drainCurve: drainCurve(collected),
    slo,
    guards: guards.results(),
    leftOver,
  };
}

/** Load and steps, from start to end of the load; healing is not in it. */
async function perform(options: DrillOptions, collector: Collector, disturber: Disturber) {
  const { scenario, stage, progress } = options;
  const places = stage.clients.filter(({ continent }) => scenario.continents.includes(continent));
  const loads = places.map((place) =>
    startLoadProcess(stage.loadCommand(place), specOf(options, place, places.length), (line) => collector.take(line)),
  );
  const guards = createGuards(scenario.guards);
  let run: Run = { options, collector, disturber, guards, loads, startMs: Date.now() };
  try {
    progress.tick("waiting for the first answers to clients");
    const words = await wordsOfAll(stage);
    await Promise.all(loads.map(({ ready }) => ready));
    await collector.start();
    // A whole second of the clock, as the load counts by: then steps, seconds and curves lie on each other.
    const startMs = Math.ceil(Date.now() / SECOND_MS) * SECOND_MS;
    await sleep(startMs - Date.now());
    run = { ...run, startMs };
    const ending = await runLoadedPart(run, new Set(words.map(({ says }) => says)));
    return { run, ending, endMs: Math.min(Date.now(), startMs + scenario.durationMs) };
  } catch (error) {
    return { run, ending: { kind: "broken", why: (error as Error).message } as const, endMs: Date.now() };
  }
}

/** Does not throw: what goes wrong is in the report. */
export async function runDrill(options: DrillOptions): Promise<DrillReport> {
  const { stage, progress } = options;
  const collector = createCollector(stage);
  const disturber = createDisturber(stage);
  const { run, ending, endMs } = await perform(options, collector, disturber);
  progress.tick("healing what is still disturbed");
  const [unhealed] = await Promise.all([disturber.healAll(), ...run.loads.map((load) => load.end())]);
  await collector.stop();
  const leftOver = [...unhealed, ...(await settle(options))];
  return reportOf(run, collectedOf(run, endMs), ending, leftOver);
}
