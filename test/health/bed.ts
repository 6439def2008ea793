/** A health engine on a clock that is moved by hand, with probes that say what the test wants. */
import { createManualClock, type ManualClock } from "#base/clock.ts";
import { silentLog } from "#base/log.ts";
import { createSeededRng } from "#base/rng.ts";
import { createHealth, type Health, type HealthOptions } from "#health/engine.ts";
import { type ErrorClass, NO_PHASES, type ProbeResult, type StartProbe } from "#health/probes/probe.ts";
import type { RhumbEvent } from "#state/events.ts";
import { createHealthTable, emptyTargetState, readTarget, type TargetState } from "#state/health-table.ts";
import type { CheckSpec, FailbackSpec, HealthSnapshot, OverrideSpec, TargetSpec } from "#state/snapshot.ts";

export const NO_HOLD: FailbackSpec = { mode: "auto", holdMs: 0, ramp: [100], rampStepMs: 10_000, rampAfterMs: 30_000 };

export const httpCheck = (over: Partial<Extract<CheckSpec, { kind: "http" | "https" }>> = {}): CheckSpec => ({
  kind: "http",
  name: "web",
  port: 80,
  path: "/",
  method: "GET",
  headers: {},
  host: undefined,
  status: [[200, 299]],
  body: undefined,
  tls: undefined,
  intervalMs: 5_000,
  timeoutMs: 2_000,
  thresholds: { down: 3, up: 5, ok: 5 },
  downSpanMs: 2_000,
  failback: NO_HOLD,
  ...over,
});

/** Regions by name with their addresses; rows are numbered region first, then its addresses. */
export function snapshotOf(
  regions: Readonly<Record<string, readonly string[]>>,
  over: {
    check?: CheckSpec;
    failback?: FailbackSpec;
    upThreshold?: number;
    fileOverrides?: readonly OverrideSpec[];
    checkNameOf?: (address: string) => string | undefined;
  } = {},
): HealthSnapshot {
  const check = over.check ?? httpCheck();
  const targets: TargetSpec[] = [];
  for (const [name, addresses] of Object.entries(regions)) {
    const index = targets.length;
    const members = addresses.map((_, at) => index + 1 + at);
    targets.push({
      index,
      id: `region/${name}`,
      kind: "region",
      members,
      v4Members: members.filter((_, at) => !addresses[at]!.includes(":")),
      upThreshold: over.upThreshold ?? 0.5,
      failback: over.failback ?? check.failback,
    });
    for (const [at, address] of addresses.entries()) {
      const name_ = over.checkNameOf === undefined ? check.name : over.checkNameOf(address);
      targets.push({ index: index + 1 + at, id: `region/${name}/${address}`, kind: "address", address, check: name_ });
    }
  }
  return {
    targets,
    checks: [check],
    fileOverrides: over.fileOverrides ?? [],
    vantage: "ns1",
    vantages: [],
    quorum: 1,
    references: [],
  };
}

export type Answer = "pass" | "silent" | ErrorClass;

export type FakeProbes = {
  readonly start: StartProbe;
  /** What each address answers; pass by default. `silent`: never. */
  readonly answers: Map<string, Answer>;
  rttMicros: number;
  latencyMs: number;
  readonly startsMs: { readonly address: string; readonly atMs: number }[];
  running: number;
  mostRunning: number;
};

export function createFakeProbes(clock: ManualClock): FakeProbes {
  const fake: FakeProbes = {
    answers: new Map(),
    rttMicros: 10_000,
    latencyMs: 1,
    startsMs: [],
    running: 0,
    mostRunning: 0,
    start(address, _check, done) {
      fake.startsMs.push({ address, atMs: clock.monotonicMs() });
      fake.running++;
      fake.mostRunning = Math.max(fake.mostRunning, fake.running);
      const answer = fake.answers.get(address) ?? "pass";
      let isOver = false;
      const end = (result: ProbeResult | undefined): void => {
        if (isOver) return;
        isOver = true;
        timer?.cancel();
        fake.running--;
        if (result !== undefined) done(result);
      };
      const fail = (errorClass: ErrorClass): ProbeResult => ({
        ok: false,
        rttMicros: 0,
        phases: NO_PHASES,
        errorClass,
        says: errorClass,
      });
      const passed: ProbeResult = {
        ok: true,
        rttMicros: fake.rttMicros,
        phases: NO_PHASES,
        errorClass: "none",
        says: "ok",
      };
      const timer =
        answer === "silent"
          ? undefined
          : clock.after(fake.latencyMs, () => end(answer === "pass" ? passed : fail(answer)));
      return { expire: () => end(fail("timeout")), cancel: () => end(undefined) };
    },
  };
  return fake;
}

export type Bed = {
  readonly clock: ManualClock;
  readonly probes: FakeProbes;
  readonly health: Health;
  readonly table: Uint32Array;
  readonly events: RhumbEvent[];
  readonly stored: { overrides: readonly OverrideSpec[] };
  /** State of a row. */
  row(index: number): TargetState;
  /** Moves the clock in small steps until `isDone`. @returns ms that it took; throws after `limitMs` */
  until(isDone: () => boolean, limitMs?: number): number;
};

export function createBed(
  over: Partial<HealthOptions> & { overrides?: readonly OverrideSpec[]; clock?: ManualClock } = {},
): Bed {
  const clock = over.clock ?? createManualClock();
  const probes = createFakeProbes(clock);
  const table = createHealthTable(256);
  const events: RhumbEvent[] = [];
  const stored = { overrides: over.overrides ?? [] };
  const health = createHealth({
    table,
    rng: createSeededRng(7),
    log: silentLog,
    emit: (event) => events.push(event),
    probes: probes.start,
    store: {
      load: () => stored.overrides,
      save: (all) => {
        stored.overrides = all;
      },
    },
    stateFile: undefined,
    ...over,
    clock,
  });
  return {
    clock,
    probes,
    health,
    table,
    events,
    stored,
    row: (index) => readTarget(table, index, emptyTargetState()),
    until(isDone, limitMs = 600_000) {
      for (let ms = 0; ms <= limitMs; ms += 10) {
        if (isDone()) return ms;
        clock.advance(10);
      }
      throw new Error(`not within ${limitMs} ms`);
    },
  };
}
