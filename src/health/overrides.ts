/**
 * What operators say: overrides of the file and of the API as one list, in which the last match wins.
 *
 * Owns:    the list, its expiry and its warnings. The API's overrides are stored through the store that is handed in.
 * Never:   writes the health table; the engine asks `find()` per target. Moves anything between nodes.
 *
 * The API's come after the file's, later ones after earlier ones; setting the same target again replaces the older one.
 * `region/eu-west` governs the region's row; `region/eu-west/*` its addresses. An override ends at `untilMs`, but never
 * while the blast budget has something frozen: an expiry must not add to an outage that is already too big. One on backends
 * may be without an end (`UNTIL_CLEARED_MS`), as HAProxy's `set server … state` is: who takes a server out for good does
 * not want it back after four hours.
 *
 * What one node's API is told, all nodes do: of each target the newest counts (`setShared()`), in the order of versions, so
 * that all nodes agree on the last match. What others no longer speak of stays until it ends or is cleared: they may be away.
 * Files are each node's own. An evacuation drains its region on top of all, but for an operator who takes more from it.
 *
 * Units:   Unix ms.
 * @module
 */
import type { Clock } from "#base/clock.ts";
import { RhumbError } from "#base/errors.ts";
import type { Rng } from "#base/rng.ts";
import { formatDurationMs } from "#base/units.ts";
import { createMatcher, fullTarget } from "#health/glob.ts";
import type { Emit, RhumbEvent } from "#state/events.ts";
import { compareVersions, type RecordVersion } from "#state/shared.ts";
import { type OverrideSpec, type OverrideVerb, UNTIL_CLEARED_MS } from "#state/snapshot.ts";

const OVERRIDE_DEFAULT_MS = 4 * 3_600_000;
const OVERRIDE_MAX_MS = 366 * 86_400_000;
const WARN_BEFORE_MS = 15 * 60_000;

/** Where the API's overrides survive a restart. */
export type OverrideStore = { load(): readonly OverrideSpec[]; save(all: readonly OverrideSpec[]): void };

export type OverrideInput = {
  readonly target: string;
  readonly verb: OverrideVerb;
  /** For `drain`: percent of its share that the target keeps, 0 to 100; 0 by default. */
  readonly weightPercent?: number;
  readonly reason: string;
  readonly owner: string;
  /** 4 h by default; `untilMs` beats it. */
  readonly forMs?: number;
  /** `UNTIL_CLEARED_MS`: no end, of targets that begin with `backend/` alone. */
  readonly untilMs?: number;
};

/** What the nodes have said last of a target; `null`: it was cleared. */
export type SharedOverride = {
  readonly target: string;
  readonly spec: OverrideSpec | null;
  readonly version: RecordVersion;
};

/** A region that is being evacuated, or comes back. */
export type EvacuationDrain = {
  readonly region: string;
  readonly weightPercent: number;
  readonly reason: string;
  readonly sinceMs: number;
  /** When the weight is to be another one; undefined: nobody knows. */
  readonly nextMs: number | undefined;
};

type ActiveOverride = OverrideSpec & { readonly matches: (id: string) => boolean };

export type Overrides = {
  setFile(specs: readonly OverrideSpec[]): void;
  /** @throws RHUMB_HEALTH_OVERRIDE_INVALID */
  prepare(input: OverrideInput): OverrideSpec;
  add(spec: OverrideSpec): void;
  /**
   * @param text id or target of overrides of the API
   * @returns those cleared; none when there are none
   * @throws RHUMB_HEALTH_OVERRIDE_FROM_FILE when only the file has it
   */
  clear(text: string): readonly OverrideSpec[];
  /** @returns whether that changed anything */
  setShared(shared: readonly SharedOverride[]): boolean;
  /** All that there are now. */
  setEvacuations(drains: readonly EvacuationDrain[]): void;
  list(): readonly OverrideSpec[];
  /** The last match among those in force, and, to try it out, `extra` after them. */
  find(id: string, extra?: OverrideSpec): OverrideSpec | undefined;
  /** Ends what is due and warns. @returns what has ended */
  tick(isFrozen: boolean): readonly OverrideSpec[];
};

/** Its end as people see it: null where it has none. */
export const shownEnd = ({ untilMs }: OverrideSpec): number | null => (untilMs === UNTIL_CLEARED_MS ? null : untilMs);

const VERBS: readonly string[] = ["up", "down", "drain", "ignore-health"] satisfies OverrideVerb[];

/** What another node signed is not yet of the right shape. */
function isSound({ target, spec }: SharedOverride): boolean {
  if (spec === null) return true;
  if (typeof spec !== "object") return false;
  const texts = [spec.id, spec.target, spec.reason, spec.owner];
  const numbers = [spec.weightPercent, spec.createdAtMs, spec.untilMs];
  return (
    texts.every((text) => typeof text === "string") &&
    numbers.every(Number.isFinite) &&
    VERBS.includes(spec.verb) &&
    spec.weightPercent >= 0 &&
    spec.weightPercent <= 100 &&
    spec.target === target &&
    fullTarget(target) === target
  );
}

/** Who owns the overrides by which evacuations drain their regions. */
const EVACUATION_OWNER = "evacuation";

const drainOf = ({ region, weightPercent, reason, sinceMs, nextMs }: EvacuationDrain): OverrideSpec => ({
  id: `evacuation-${region}`,
  target: fullTarget(region),
  verb: "drain",
  weightPercent,
  reason,
  owner: EVACUATION_OWNER,
  createdAtMs: sinceMs,
  untilMs: nextMs ?? UNTIL_CLEARED_MS,
  origin: "api",
});
/** What an operator says of a region that is being evacuated holds where it takes as much from it. */
const takesAsMuch = (said: OverrideSpec | undefined, drain: OverrideSpec): boolean =>
  said?.verb === "down" || (said?.verb === "drain" && said.weightPercent <= drain.weightPercent);

const invalid = (says: string): RhumbError => new RhumbError("RHUMB_HEALTH_OVERRIDE_INVALID", says);

export function createOverrides(options: {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly emit: Emit;
  readonly store: OverrideStore;
}): Overrides {
  const { clock, rng, emit, store } = options;
  const active = (spec: OverrideSpec): ActiveOverride => ({ ...spec, matches: createMatcher(spec.target) });
  let file: ActiveOverride[] = [];
  // What ran out while we were away ends with the first tick, and is told then.
  let api: ActiveOverride[] = store.load().map(active);
  let evacuations: ActiveOverride[] = [];
  const warned = new Set<string>();
  /** File overrides that have ended; the file still names them. */
  const ended = new Set<string>();

  const all = (): ActiveOverride[] => [...file, ...api];
  let hasFault = false;
  /** A store that cannot be written (a full disk) must not keep an operator from acting, nor stop the housekeeping. */
  const save = (): void => {
    const told = { kind: "store.fault", atMs: clock.nowMs(), subject: "overrides" } as const;
    try {
      store.save(api.map(({ matches: _, ...spec }) => spec));
      if (hasFault) emit({ ...told, severity: "resolved", says: "Overrides are saved again" });
      hasFault = false;
    } catch (error) {
      const says = `Cannot save the overrides of the API: ${(error as Error).message}. They are in force, but a restart will go back to those saved last`;
      if (!hasFault) emit({ ...told, severity: "alarm", says });
      hasFault = true;
    }
  };
  const tell = (kind: RhumbEvent["kind"], severity: RhumbEvent["severity"], spec: OverrideSpec, says: string): void =>
    emit({
      kind,
      atMs: clock.nowMs(),
      severity,
      subject: spec.target,
      says,
      data: { id: spec.id, verb: spec.verb, owner: spec.owner, reason: spec.reason, untilMs: shownEnd(spec) },
    });
  const sayVerb = (spec: OverrideSpec): string =>
    spec.verb === "drain" ? `drain to ${spec.weightPercent} percent` : spec.verb;
  /** What was announced to end has ended, in whatever way: nobody need be warned of it any more. */
  const endWarning = (spec: OverrideSpec): void => {
    if (!warned.delete(spec.id)) return;
    tell("health.override-expiring", "resolved", spec, `The override down on ${spec.target} is no longer about to end`);
  };
  const strip = ({ matches: _, ...spec }: ActiveOverride): OverrideSpec => spec;
  /** By target, as far as it was shared. */
  let versions: ReadonlyMap<string, RecordVersion> = new Map();
  const inOrder = (a: OverrideSpec, b: OverrideSpec): number => {
    const [first, second] = [versions.get(a.target), versions.get(b.target)];
    if (!first || !second) return Number(second !== undefined) - Number(first !== undefined);
    return compareVersions(first, second);
  };

  return {
    setFile(specs) {
      const nowMs = clock.nowMs();
      const ids = new Set(specs.map(({ id }) => id));
      for (const spec of file) if (!ids.has(spec.id)) endWarning(spec);
      file = specs.filter((spec) => !ended.has(spec.id) && spec.untilMs > nowMs).map(active);
    },
    prepare(input) {
      const nowMs = clock.nowMs();
      const weightPercent = input.verb === "drain" ? (input.weightPercent ?? 0) : 100;
      const untilMs = input.untilMs ?? nowMs + (input.forMs ?? OVERRIDE_DEFAULT_MS);
      if (input.target.trim() === "") throw invalid("an override without a target");
      if (input.reason.trim() === "") throw invalid(`${input.verb} ${input.target} without a reason`);
      if (!VERBS.includes(input.verb)) throw invalid(`the verb ${input.verb}`);
      if (!(weightPercent >= 0 && weightPercent <= 100)) throw invalid(`a drain weight of ${weightPercent}`);
      const target = fullTarget(input.target.trim());
      const mayStay = untilMs === UNTIL_CLEARED_MS && target.startsWith("backend/");
      if (!mayStay && !(untilMs > nowMs && untilMs - nowMs <= OVERRIDE_MAX_MS))
        throw invalid("an end that is not within a year");
      const id = `api-${nowMs.toString(36)}-${Math.floor(rng() * 0xffff_ffff).toString(36)}`;
      const { verb, reason, owner } = input;
      return { id, target, verb, weightPercent, reason, owner, createdAtMs: nowMs, untilMs, origin: "api" };
    },
    add(spec) {
      for (const other of api) if (other.target === spec.target) endWarning(other);
      api = [...api.filter((other) => other.target !== spec.target), active(spec)];
      save();
      const span =
        spec.untilMs === UNTIL_CLEARED_MS
          ? "until it is cleared"
          : `for ${formatDurationMs(spec.untilMs - spec.createdAtMs)}`;
      const says = `${spec.owner} set ${sayVerb(spec)} on ${spec.target} ${span}: ${spec.reason}`;
      tell("health.override-set", "info", spec, says);
    },
    clear(text) {
      const target = fullTarget(text);
      const isMeant = (spec: OverrideSpec): boolean => spec.id === text || spec.target === target;
      const cleared = api.filter(isMeant).map(strip);
      if (cleared.length === 0) {
        if (evacuations.some(isMeant)) throw new RhumbError("RHUMB_HEALTH_OVERRIDE_OF_EVACUATION", text);
        if (file.some(isMeant)) throw new RhumbError("RHUMB_HEALTH_OVERRIDE_FROM_FILE", text);
        return [];
      }
      api = api.filter((spec) => !isMeant(spec));
      save();
      for (const spec of cleared) {
        endWarning(spec);
        tell(
          "health.override-cleared",
          "resolved",
          spec,
          `The override ${sayVerb(spec)} on ${spec.target} was cleared`,
        );
      }
      return cleared;
    },
    setShared(shared) {
      const sound = shared.filter(isSound);
      versions = new Map(sound.map(({ target, version }) => [target, version]));
      const before = api;
      const nowMs = clock.nowMs();
      const next = new Map(api.map((spec) => [spec.target, spec]));
      for (const { target, spec } of sound) {
        const held = next.get(target);
        if (held?.id === spec?.id || (spec !== null && spec.untilMs <= nowMs)) continue;
        if (held) endWarning(held);
        if (spec === null) {
          next.delete(target);
          const says = `The override ${sayVerb(held!)} on ${target} was cleared at another node`;
          tell("health.override-cleared", "resolved", held!, says);
          continue;
        }
        next.set(target, active({ ...spec, origin: "api" }));
        const instead = held ? ` in place of ${sayVerb(held)} by ${held.owner}` : "";
        const says = `${spec.owner} set ${sayVerb(spec)} on ${target} at another node${instead}: ${spec.reason}`;
        tell("health.override-set", "info", spec, says);
      }
      api = [...next.values()].sort(inOrder);
      const isChanged = api.length !== before.length || api.some((spec, index) => spec !== before[index]);
      if (isChanged) save();
      return isChanged;
    },
    setEvacuations(drains) {
      evacuations = drains.map((drain) => active(drainOf(drain)));
    },
    list: () => [...all(), ...evacuations].map(strip),
    find(id, extra) {
      const drain = evacuations.find((spec) => spec.matches(id));
      const said =
        extra !== undefined && createMatcher(extra.target)(id)
          ? extra
          : all().findLast((spec) => spec.matches(id) && spec.target !== extra?.target);
      return drain === undefined || takesAsMuch(said, drain) ? said : drain;
    },
    tick(isFrozen) {
      const nowMs = clock.nowMs();
      for (const spec of all()) {
        const isLong = spec.untilMs - spec.createdAtMs > WARN_BEFORE_MS;
        if (spec.verb !== "down" || !isLong || spec.untilMs - nowMs > WARN_BEFORE_MS || warned.has(spec.id)) continue;
        warned.add(spec.id);
        const left = formatDurationMs(Math.max(0, Math.ceil((spec.untilMs - nowMs) / 60_000)) * 60_000);
        const says = `The override down on ${spec.target} by ${spec.owner} ends in ${left}; the target then comes back`;
        tell("health.override-expiring", "warning", spec, says);
      }
      if (isFrozen) return [];
      const over = all().filter((spec) => spec.untilMs <= nowMs);
      if (over.length === 0) return [];
      for (const spec of over) {
        if (spec.origin === "file") ended.add(spec.id);
        endWarning(spec);
        tell("health.override-expired", "resolved", spec, `The override ${sayVerb(spec)} on ${spec.target} has ended`);
      }
      const isOver = new Set(over);
      file = file.filter((spec) => !isOver.has(spec));
      if (api.some((spec) => isOver.has(spec))) {
        api = api.filter((spec) => !isOver.has(spec));
        save();
      }
      return over.map(strip);
    },
  };
}
