/**
 * The effective load of each region: what `shed` works on. Reports and time in, load out, without swinging.
 *
 * A DNS answer moves clients only when caches let go of the one before, up to minutes later. Who sheds by the load that is
 * measured now goes on shedding until the answers of minutes ago have come to bear, and then far too few are left; and then
 * the other way. So the load is corrected by what has been ordered and has not come yet (`load-drain.ts`; a Smith predictor:
 * O. J. M. Smith, "Closer control of loops with dead time", Chem. Eng. Progress 53, 1957), and the effective load follows
 * that prediction in small steps, smaller ones on the way down.
 *
 * Owns:    the effective load by region, and what it is made of, for people.
 * Writer:  of the load word, through `setLoad`. A region whose balancers are silent keeps its effective load: no news is not
 *          no load.
 * Never:   knows filters or services; what they did stands in the answers.
 * Units:   load in permille of capacity; requests per second; steady ms inside.
 * @module
 */
import type { Clock, Timer } from "#base/clock.ts";
import { createDrain, type Drain, type DrainCurve } from "#health/load-drain.ts";
import { createRegionReports, type RegionReports, type ReportedLoad } from "#health/load-reports.ts";
import type { Emit } from "#state/events.ts";
import type { RegionReport } from "#state/reports.ts";
import type { RegionSpec, ServiceSpec } from "#state/snapshot.ts";

const TICK_MS = 1_000;
/** So much is noise. */
const DEADBAND_PERMILLE = 15;
/**
 * Between its marks `shed` answers one point of load by up to this many points of clients (demand 1.5 × capacity, marks 15 %
 * apart). What is then seen late comes back that many times as strong, so that a step may be this much the smaller.
 */
const GAIN = 10;
/** Of the way that the gain and the delay allow: half of it leaves room for errors of the curve. */
const CAUTION = 0.5;
/** Reports are means of 5 s. */
const REPORT_DELAY_SECONDS = 3;
/** The way back is slower: the load that a region has shed is its neighbours' now. */
const FALL_PART = 0.3;
/** At most so much in a second, whatever the prediction says: one wrong report must not empty a region. */
const MAX_STEP_PERMILLE = 60;
/** Answers over which shares are counted; fewer are too few to tell a shift from chance. */
const ENOUGH_ANSWERS = 400;
/** No further back than this part of a TTL, and this many seconds at least. */
const WINDOW_PART = 0.25;
const MIN_WINDOW_SECONDS = 30;
const FEW_ANSWERS = 60;
/** Load counts in steps of 1 % for those who read it: smaller changes only wake them. */
const PUBLISH_STEP_PERMILLE = 10;
const FULL_PERMILLE = 1_000;

/** Answers since the start by region. */
export type AnswerTotals = () => ReadonlyMap<string, number>;

export type LoadControlOptions = {
  readonly clock: Clock;
  readonly emit: Emit;
  /** `health.setLoad`. */
  setLoad(target: number, loadPermille: number): void;
  readonly answers: AnswerTotals;
};

export type RegionLoadView = {
  readonly region: string;
  readonly measuredRps: number | null;
  readonly capacityRps: number | null;
  readonly capacityFrom: ReportedLoad["capacityFrom"];
  /** Null where nothing was reported, or nobody knows the capacity. */
  readonly measuredPermille: number | null;
  /** The load that is coming, when caches have let go of old answers. */
  readonly predictedPermille: number | null;
  /** What `shed` works on. */
  readonly effectivePermille: number;
  /** Unix ms since when its balancers are silent; null: they speak. */
  readonly frozenSinceMs: number | null;
  readonly balancers: ReportedLoad["balancers"];
};

export type LoadControlView = {
  readonly regions: readonly RegionLoadView[];
  /** The drain curve that is believed of the resolvers. */
  readonly drain: DrainCurve;
  /** Seconds over which answers are counted; null: there are too few to predict from. */
  readonly windowSeconds: number | null;
};

export type LoadControl = {
  /** What is known of regions that stay, stays. */
  apply(regions: readonly RegionSpec[], services: readonly ServiceSpec[]): void;
  /** A report that is newer than the last one of its balancer: it counts from now on, for clocks of others may be off. */
  takeReport(report: RegionReport): void;
  view(): LoadControlView;
  close(): void;
};

type Row = {
  spec: RegionSpec;
  readonly reports: RegionReports;
  reported: ReportedLoad | undefined;
  measured: number | undefined;
  predicted: number | undefined;
  /** Undefined until the first load is known. */
  effective: number | undefined;
  published: number;
  frozenSinceMs: number | undefined;
  isOver: boolean;
};

/**
 * Pure: where the effective load goes in one second.
 *
 * @param low below it nobody sheds, so that nothing can swing: there it follows at once
 * @param delaySeconds after which the effect of a step is seen
 */
export function follow(effective: number, predicted: number, low: number, delaySeconds: number): number {
  const from = effective < low ? Math.min(predicted, low) : effective;
  const way = predicted - from;
  if (Math.abs(way) <= DEADBAND_PERMILLE) return from;
  const part = CAUTION / (GAIN * delaySeconds);
  const step = way > 0 ? way * part : way * part * FALL_PART;
  return from + Math.max(-MAX_STEP_PERMILLE, Math.min(MAX_STEP_PERMILLE, step));
}

/** What services agree on: how long answers are kept, and from which load on the first of them sheds. */
export function stakesOf(services: readonly ServiceSpec[]): { readonly ttlSeconds: number; readonly low: number } {
  const shedding = services.filter(({ chain }) => chain.some(({ name }) => name === "shed"));
  const ttls = (shedding.length > 0 ? shedding : services).map(({ ttlMaxSeconds }) => ttlMaxSeconds);
  const marks = shedding.flatMap(({ chain }) =>
    chain.flatMap((filter) => (filter.name === "shed" ? [filter.lowPermille] : [])),
  );
  return { ttlSeconds: Math.max(1, ...ttls), low: Math.min(FULL_PERMILLE, ...marks) };
}

export function createLoadControl(options: LoadControlOptions): LoadControl {
  const { clock, emit } = options;
  let rows: Row[] = [];
  let ttlSeconds = 30;
  let low = FULL_PERMILLE;
  let drain: Drain = createDrain(0, ttlSeconds);
  /** Totals of the last seconds, newest last. */
  let samples: number[][] = [];
  let windowSeconds: number | null = null;

  /** Answers since the second before. */
  function countAnswers(): number[] {
    const totals = options.answers();
    const now = rows.map(({ spec }) => totals.get(spec.id) ?? 0);
    const before = samples.at(-1) ?? now;
    samples.push(now);
    if (samples.length > Math.max(MIN_WINDOW_SECONDS, ttlSeconds * WINDOW_PART) + 1) samples.shift();
    return now.map((total, index) => Math.max(0, total - before[index]!));
  }

  /** Shares of the answers of the last seconds: as few seconds as have answers enough. */
  function answerShares(): number[] | undefined {
    const now = samples.at(-1)!;
    windowSeconds = null;
    for (let back = 1; back < samples.length; back++) {
      const then = samples.at(-1 - back)!;
      const counts = now.map((total, index) => Math.max(0, total - then[index]!));
      const all = counts.reduce((sum, count) => sum + count, 0);
      if (all < ENOUGH_ANSWERS && back < samples.length - 1) continue;
      if (all < FEW_ANSWERS) return undefined;
      windowSeconds = back;
      return counts.map((count) => count / all);
    }
    return undefined;
  }

  function measure(row: Row): void {
    row.reported = row.reports.read(clock.monotonicMs(), row.spec.capacityRps);
    const { reported } = row;
    if (reported === undefined || reported.capacityRps === null || reported.isSilent) return;
    const permille = (FULL_PERMILLE * reported.offeredRps) / reported.capacityRps;
    row.measured = reported.isFull ? Math.max(FULL_PERMILLE, permille) : permille;
  }

  function tellSilence(row: Row): void {
    const isSilent = row.reported?.isSilent ?? false;
    if (isSilent === (row.frozenSinceMs !== undefined)) return;
    row.frozenSinceMs = isSilent ? clock.nowMs() : undefined;
    const load = Math.round((row.effective ?? 0) / 10);
    emit({
      kind: "region.load",
      atMs: clock.nowMs(),
      severity: isSilent ? "warning" : "resolved",
      subject: `region/${row.spec.id}`,
      says: isSilent
        ? `No balancer of ${row.spec.id} reports its load any more: it stays at ${load} % for steering until one does`
        : `Balancers of ${row.spec.id} report their load again`,
      data: { effectivePermille: Math.round(row.effective ?? 0) },
    });
  }

  function tellOver(row: Row): void {
    const { measured = 0, reported } = row;
    const isOver = row.isOver ? measured > FULL_PERMILLE * 0.95 : measured >= FULL_PERMILLE;
    if (isOver === row.isOver) return;
    row.isOver = isOver;
    emit({
      kind: "region.load",
      atMs: clock.nowMs(),
      severity: isOver ? "warning" : "resolved",
      subject: `region/${row.spec.id}/capacity`,
      says: isOver
        ? `Clients want more of ${row.spec.id} than it can carry: ${Math.round(reported?.offeredRps ?? 0)} of ${Math.round(reported?.capacityRps ?? 0)} requests per second`
        : `${row.spec.id} is below its capacity again`,
      data: { measuredPermille: Math.round(measured) },
    });
  }

  function settle(row: Row, index: number, totalRps: number): void {
    const capacity = row.reported?.capacityRps ?? null;
    if (row.measured === undefined || row.frozenSinceMs !== undefined || capacity === null) return;
    const coming = windowSeconds === null ? 0 : (FULL_PERMILLE * drain.ordered(index) * totalRps) / capacity;
    row.predicted = Math.max(0, row.measured + coming);
    // Counting looks back half of its window. Without answers to count, a step is seen when caches have let go.
    const delay = REPORT_DELAY_SECONDS + (windowSeconds === null ? 2 * drain.curve().ttlSeconds : windowSeconds / 2);
    row.effective = row.effective === undefined ? row.measured : follow(row.effective, row.predicted, low, delay);
    if (Math.abs(row.effective - row.published) < PUBLISH_STEP_PERMILLE && row.published !== 0) return;
    row.published = Math.round(row.effective);
    options.setLoad(row.spec.target, row.published);
  }

  function tick(): void {
    for (const row of rows) {
      measure(row);
      tellSilence(row);
      tellOver(row);
    }
    const totalRps = rows.reduce((sum, { reported }) => sum + (reported?.offeredRps ?? 0), 0);
    const isWhole = totalRps > 0 && rows.every(({ reported }) => reported !== undefined && !reported.isSilent);
    const load = isWhole ? rows.map(({ reported }) => reported!.offeredRps / totalRps) : undefined;
    drain.note(countAnswers(), answerShares(), load);
    for (const [index, row] of rows.entries()) settle(row, index, totalRps);
  }

  let timer: Timer = clock.after(TICK_MS, beat);
  function beat(): void {
    tick();
    timer = clock.after(TICK_MS, beat);
  }

  return {
    apply(regions, services) {
      const stakes = stakesOf(services);
      low = stakes.low;
      const known = new Map(rows.map((row) => [row.spec.id, row]));
      const isSame =
        stakes.ttlSeconds === ttlSeconds &&
        regions.length === rows.length &&
        regions.every(({ id }, index) => rows[index]!.spec.id === id);
      rows = regions.map((spec) => {
        const row = known.get(spec.id);
        if (row === undefined) return newRow(spec);
        row.spec = spec;
        row.published = 0;
        return row;
      });
      if (isSame) return;
      ttlSeconds = stakes.ttlSeconds;
      drain = createDrain(rows.length, ttlSeconds);
      samples = [];
    },
    takeReport(report) {
      rows.find(({ spec }) => spec.id === report.region)?.reports.take(report, clock.monotonicMs());
    },
    view: () => ({
      regions: rows.map((row) => ({
        region: row.spec.id,
        measuredRps: row.reported?.offeredRps ?? null,
        capacityRps: row.reported?.capacityRps ?? row.spec.capacityRps ?? null,
        capacityFrom: row.reported?.capacityFrom ?? (row.spec.capacityRps === undefined ? "nobody" : "regions.yaml"),
        measuredPermille: row.measured === undefined ? null : Math.round(row.measured),
        predictedPermille: row.predicted === undefined ? null : Math.round(row.predicted),
        effectivePermille: Math.round(row.effective ?? 0),
        frozenSinceMs: row.frozenSinceMs ?? null,
        balancers: row.reported?.balancers ?? [],
      })),
      drain: drain.curve(),
      windowSeconds,
    }),
    close: () => timer.cancel(),
  };
}

const newRow = (spec: RegionSpec): Row => ({
  spec,
  reports: createRegionReports(),
  reported: undefined,
  measured: undefined,
  predicted: undefined,
  effective: undefined,
  published: 0,
  frozenSinceMs: undefined,
  isOver: false,
});
