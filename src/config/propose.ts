/**
 * The only door through which a configuration comes in: file watcher, SIGHUP, API and pushes all propose.
 *
 * Owns:    what is current, the stored overlay, what was pushed and is served here, and the order of proposals (one at a
 *          time).
 * Writer:  nobody else changes a configuration. Readers: everybody, by `current()`.
 * Never:   lets a bad configuration displace a good one. When an engine cannot take a good one, what served before is
 *          applied again, under a newer generation. An overlay that is refused is its sender's mistake, who is told at
 *          once: no alarm. One that was stored, or a push, and does not fit the files any more is left out at the start,
 *          with an alarm: the files are good, and not to serve would be worse. What was pushed takes no answer away
 *          (`answer-floor.ts`), unless the glass is broken.
 * @module
 */
import type { Clock } from "#base/clock.ts";
import { RhumbError } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import { formatProblem, hasErrors, type Problem } from "#base/problem.ts";
import { compareAnswers, floorProblems } from "#config/answer-floor.ts";
import type { Compiled, CompileResult } from "#config/compile.ts";
import { diffSnapshots } from "#config/diff.ts";
import type { ConfigFiles } from "#config/files.ts";
import { OVERLAY_FILE, OVERLAY_SECTIONS, type Overlay } from "#config/overlay.ts";
import type { Pushed } from "#config/pushed.ts";
import { suggest } from "#config/suggest.ts";
import type { Emit } from "#state/events.ts";
import type { Generation, Snapshot } from "#state/snapshot.ts";

/**
 * `names`: the DNS gives other addresses for backends; `table`: PostgreSQL has other rows of them. Nothing is applied again
 * where these, or files, say the same.
 */
export type ProposalSource = "start" | "file" | "sighup" | "api" | "push" | "names" | "table";
export type Proposal = {
  readonly source: ProposalSource;
  /** Compiles and compares, and changes nothing. */
  readonly isDryRun?: boolean;
  /**
   * The new overlay of the API, as it came, or how to make it from the stored one, asked when it is this proposal's
   * turn (a RhumbError that it throws is the refusal); an empty object removes it. Left out: the stored one stays.
   */
  readonly overlay?: Readonly<Record<string, unknown>> | ((stored: Overlay) => Readonly<Record<string, unknown>>);
  /** What all nodes are to serve from now on. Left out: what was pushed before stays. */
  readonly pushed?: Pushed;
  /** Answers may vanish, and any number of them change; says why. */
  readonly breakGlass?: string | null;
  /** The generation that the caller saw, such as `1.42`: when another one serves by now, nothing is changed. */
  readonly basedOn?: string | undefined;
};
export type ProposalResult = {
  readonly isApplied: boolean;
  readonly isDryRun: boolean;
  /** The files and the overlay are what is being served already. */
  readonly isUnchanged: boolean;
  /** It was based on a generation that serves no more. */
  readonly isOutdated?: true;
  /** What the maker of the overlay threw. */
  readonly refusal?: RhumbError;
  /** What serves now; undefined when nothing does. */
  readonly generation: Generation | undefined;
  /** Errors and warnings. */
  readonly problems: readonly Problem[];
  readonly changes: readonly string[];
};
export type AppliedConfig = Compiled & {
  readonly files: ConfigFiles;
  /** What the API changed, of this node and of all. */
  readonly overlay: Overlay;
  readonly pushed: Pushed | undefined;
  readonly appliedAtMs: number;
};
export type HistoryEntry = {
  readonly generation: Generation;
  readonly atMs: number;
  readonly source: string;
  readonly digest: string;
  readonly changes: readonly string[];
};

/** What the door needs of the store (`cluster/store.ts` has it). */
export type DoorStore = {
  get(key: string): { readonly value: unknown } | undefined;
  put(key: string, value: unknown): unknown;
  remove(key: string): void;
  nextGeneration(): Generation;
  recordGeneration(record: HistoryEntry): void;
  generations(limit: number): HistoryEntry[];
};

export type ConfigDoor = {
  current(): AppliedConfig | undefined;
  /** Never throws: what goes wrong is in the result, in the log, and an event. */
  propose(proposal: Proposal): Promise<ProposalResult>;
  /** Newest first. */
  history(limit?: number): readonly HistoryEntry[];
};

export type DoorOptions = {
  readonly load: (pushed: Pushed | undefined) => ConfigFiles | Promise<ConfigFiles>;
  readonly compile: (files: ConfigFiles, overlay: Overlay, previous: Snapshot | undefined) => CompileResult;
  /** Resolves when all engines serve `snapshot`; rejects when one cannot. */
  readonly apply: (snapshot: Snapshot, previous: Snapshot | undefined) => Promise<void>;
  /** A configuration serves that did not serve before. */
  readonly onApplied?: (applied: AppliedConfig) => void;
  readonly store: DoorStore;
  readonly log: Log;
  readonly emit: Emit;
  readonly clock: Clock;
};

export const OVERLAY_KEY = "config.overlay";
export const PUSHED_KEY = "config.pushed";
const DEFAULT_MAX_CHANGE_PERCENT = 50;

const isPlainMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const problemOf = (file: string, path: string, says: string, fix: string): Problem => ({
  file,
  line: 1,
  column: 1,
  path,
  severity: "error",
  says,
  fix,
});

/** @returns the overlay, or what is wrong with its outermost shape; its entries are checked like those of the files */
function readOverlay(value: unknown): { readonly overlay: Overlay } | { readonly problems: readonly Problem[] } {
  if (!isPlainMap(value))
    return { problems: [problemOf(OVERLAY_FILE, "", "Must be a map", "Send `services`, `regions` or `pools`")] };
  const problems: Problem[] = [];
  for (const [key, section] of Object.entries(value)) {
    if (!(OVERLAY_SECTIONS as readonly string[]).includes(key))
      problems.push(
        problemOf(
          OVERLAY_FILE,
          key,
          "Only services, regions and pools can be changed through the API",
          suggest(key, OVERLAY_SECTIONS, "section"),
        ),
      );
    else if (!isPlainMap(section))
      problems.push(
        problemOf(OVERLAY_FILE, key, "Must be a map of names", "Write a name, and below it what changes; null removes"),
      );
  }
  return problems.length > 0 ? { problems } : { overlay: value as Overlay };
}

type Layers = { readonly own: Overlay; readonly pushed: Pushed | undefined };
/** What is shared beats what this node stored before anything was. */
const overlayOf = ({ own, pushed }: Layers): Overlay =>
  pushed ? { ...pushed.overlay, ...(own.pools && { pools: own.pools }) } : own;
/** At the start, what does not fit is left out: as little as can be. */
const LEFT_OUT: readonly (readonly (keyof Layers)[])[] = [["own"], ["pushed"], ["own", "pushed"]];
const LAYER_NAMES = { own: "The overlay that the API stored", pushed: "What was pushed to all nodes" } as const;

const generationText = ({ epoch, sequence }: Generation): string => `${epoch}.${sequence}`;

/** `apply` and `compile` are the app's; the door adds order, generations, history and a way back. */
export function createConfigDoor(options: DoorOptions): ConfigDoor {
  const { store, log, emit, clock } = options;
  let current: AppliedConfig | undefined;
  let pushed = store.get(PUSHED_KEY)?.value as Pushed | undefined;
  let queue: Promise<unknown> = Promise.resolve();
  /** Something was refused and not yet followed by a good one: the alarm is open. */
  let isRefusing = false;

  /** @param isOurs something broke here: not what the caller sent */
  const refuse = (
    proposal: Proposal,
    subject: string,
    problems: readonly Problem[],
    isOurs = false,
  ): ProposalResult => {
    const errors = problems.filter((problem) => problem.severity === "error");
    if (proposal.isDryRun !== true) {
      const isCallers = (proposal.overlay !== undefined || proposal.pushed !== undefined) && !isOurs;
      for (const problem of problems)
        log[isCallers ? "info" : "error"](
          { source: proposal.source, file: problem.file, line: problem.line },
          formatProblem(problem),
        );
      const kept = current ? `; generation ${generationText(current.snapshot.generation)} stays` : "";
      emit({
        kind: "config.refused",
        atMs: clock.nowMs(),
        severity: isCallers ? "info" : "alarm",
        subject,
        says: `The new ${isCallers && !proposal.pushed ? "overlay" : "configuration"} has ${errors.length} ${errors.length === 1 ? "problem" : "problems"} and is refused${kept}`,
        data: { source: proposal.source, problems: problems.map(formatProblem).join("\n") },
      });
      if (!isCallers) isRefusing = true;
    }
    return {
      isApplied: false,
      isDryRun: proposal.isDryRun === true,
      isUnchanged: false,
      generation: current?.snapshot.generation,
      problems,
      changes: [],
    };
  };
  const resolveAlarm = (subject: string): void => {
    if (!isRefusing) return;
    isRefusing = false;
    const says = "The configuration is good again";
    emit({ kind: "config.refused", atMs: clock.nowMs(), severity: "resolved", subject, says });
  };

  let hasStoreFault = false;
  /** Writes what is about something that serves already: a store that cannot be written does not make it undone. */
  const keep = (write: () => void): void => {
    const told = { kind: "store.fault", atMs: clock.nowMs(), subject: "configuration" } as const;
    try {
      write();
      if (hasStoreFault) emit({ ...told, severity: "resolved", says: "The configuration's history is kept again" });
      hasStoreFault = false;
    } catch (error) {
      const says = `Cannot write the store: ${(error as Error).message}. The configuration serves, but a restart may forget the overlay of the API`;
      if (!hasStoreFault) emit({ ...told, severity: "alarm", says });
      hasStoreFault = true;
    }
  };

  const leaveOut = (what: string, problems: readonly Problem[], subject: string): void => {
    const texts = problems.map(formatProblem);
    for (const text of texts) log.error({ source: "start" }, text);
    isRefusing = true;
    emit({
      kind: "config.refused",
      atMs: clock.nowMs(),
      severity: "alarm",
      subject,
      says: `${what} does not fit the files any more and was left out: correct the files, or send another one (\`rhumb config put\`, \`rhumb config push\`)`,
      data: { source: "start", problems: texts.join("\n") },
    });
  };

  /** The engines could not take `next`: back to what served before, as a newer generation, so that nobody refuses it. */
  const rollBack = async (next: Snapshot): Promise<void> => {
    if (!current) return;
    const snapshot: Snapshot = { ...current.snapshot, generation: store.nextGeneration() };
    try {
      await options.apply(snapshot, next);
      current = { ...current, snapshot };
    } catch (error) {
      log.error({ error }, "Cannot go back to the configuration that served before: restart the process");
    }
  };

  const keepOwn = (own: Overlay): void => {
    if (Object.keys(own).length === 0) store.remove(OVERLAY_KEY);
    else store.put(OVERLAY_KEY, own);
  };
  /** What all share is no longer this node's own. */
  const keepPushed = (next: Pushed, { shadows = [] }: ConfigFiles, { pools }: Overlay): void => {
    const disk = Object.fromEntries(shadows.map(({ name, digest }) => [name, next.disk[name] ?? digest]));
    pushed = { ...next, disk };
    if (current) current = { ...current, pushed };
    keep(() => {
      store.put(PUSHED_KEY, pushed);
      keepOwn(pools ? { pools } : {});
    });
  };

  const tryOut = (files: ConfigFiles, layers: Layers) => ({
    files,
    layers,
    result: options.compile(files, overlayOf(layers), current?.snapshot),
  });

  /** What becomes of answers: told where files say so, refused where it was pushed and nobody broke the glass. */
  const floorOf = ({ source, pushed: next, breakGlass }: Proposal, snapshot: Snapshot, file: string): Problem[] => {
    if (!current || source === "names" || source === "table") return [];
    const severity = next && typeof breakGlass !== "string" ? "error" : "warning";
    const maxChangePercent = current.snapshot.control?.maxChangePercent ?? DEFAULT_MAX_CHANGE_PERCENT;
    return floorProblems(compareAnswers(current.snapshot, snapshot), { file, severity, maxChangePercent });
  };

  const run = async (proposal: Proposal): Promise<ProposalResult> => {
    const isDryRun = proposal.isDryRun === true;
    const serving = current?.snapshot.generation;
    const unchanged = { isApplied: false, isDryRun, isUnchanged: false, problems: [], changes: [] } as const;
    if (proposal.basedOn !== undefined && serving !== undefined && proposal.basedOn !== generationText(serving))
      return { ...unchanged, isOutdated: true, generation: serving };
    const kept = (store.get(OVERLAY_KEY)?.value ?? {}) as Overlay;
    let overlayNow: Readonly<Record<string, unknown>> | undefined;
    try {
      overlayNow = typeof proposal.overlay === "function" ? proposal.overlay(kept) : proposal.overlay;
    } catch (error) {
      if (!(error instanceof RhumbError)) throw error;
      return { ...unchanged, refusal: error, generation: serving };
    }
    const own = readOverlay(overlayNow ?? kept);
    const isStart = proposal.source === "start";
    const wanted: Layers = { own: "overlay" in own ? own.overlay : {}, pushed: proposal.pushed ?? pushed };
    let loaded: ConfigFiles;
    try {
      loaded = await options.load(wanted.pushed);
    } catch (error) {
      const cause = error instanceof Error && error.cause instanceof Error ? `: ${error.cause.message}` : "";
      const says = `${error instanceof Error ? error.message : String(error)}${cause}`;
      return refuse(proposal, "files", [
        problemOf("rhumb.yaml", "", says, "Check that the file exists and that this user may read it"),
      ]);
    }
    const subject = loaded.root.file;
    const shapes = proposal.pushed ? [own, readOverlay(proposal.pushed.overlay)] : [own];
    const misshapen = shapes.flatMap((shape) => ("problems" in shape ? shape.problems : []));
    if (misshapen.length > 0 && !isStart) return refuse(proposal, subject, misshapen);
    const isSame =
      current?.files.digest === loaded.digest && JSON.stringify(current.overlay) === JSON.stringify(overlayOf(wanted));
    if (isSame && ["file", "names", "table", "push"].includes(proposal.source) && !isDryRun) {
      resolveAlarm(subject);
      if (proposal.pushed) keepPushed(proposal.pushed, loaded, wanted.own);
      return { ...unchanged, isUnchanged: true, generation: serving };
    }
    let tried = tryOut(loaded, wanted);
    /** What is wrong with the stored layers, when we start without them. */
    const misfits: { readonly what: string; readonly problems: readonly Problem[] }[] = [];
    if (isStart && "problems" in own) misfits.push({ what: LAYER_NAMES.own, problems: own.problems });
    if (isStart && "problems" in tried.result) {
      const { problems } = tried.result;
      const isThere = { own: Object.keys(wanted.own).length > 0, pushed: wanted.pushed !== undefined };
      for (const without of LEFT_OUT.filter((names) => names.every((name) => isThere[name]))) {
        const rest: Layers = {
          own: without.includes("own") ? {} : wanted.own,
          pushed: without.includes("pushed") ? undefined : wanted.pushed,
        };
        const next = tryOut(rest.pushed === wanted.pushed ? loaded : await options.load(rest.pushed), rest);
        if ("problems" in next.result) continue;
        tried = next;
        misfits.push({ what: without.map((name) => LAYER_NAMES[name]).join(" and "), problems });
        break;
      }
    }
    const { files, layers, result } = tried;
    const overlay = overlayOf(layers);
    if ("problems" in result) return refuse(proposal, subject, result.problems);
    const changes = diffSnapshots(current?.snapshot, result.snapshot);
    const floor = floorOf(proposal, result.snapshot, subject);
    const problems = [...floor, ...result.warnings];
    if (hasErrors(floor)) return { ...refuse(proposal, subject, problems), changes };
    if (isDryRun) return { ...unchanged, isUnchanged: changes.length === 0, generation: undefined, problems, changes };

    const previous = current?.snapshot;
    let generation: Generation;
    try {
      generation = store.nextGeneration();
    } catch (error) {
      const says = `Cannot write the store: ${(error as Error).message}. Without it a configuration gets no generation`;
      return refuse(
        proposal,
        subject,
        [problemOf("store", "", says, "See to the space and mode of the state folder")],
        true,
      );
    }
    const snapshot: Snapshot = { ...result.snapshot, generation };
    result.commitTargets();
    try {
      await options.apply(snapshot, previous);
    } catch (error) {
      await rollBack(snapshot);
      const says = `The engines could not take it: ${error instanceof Error ? error.message : String(error)}`;
      const fix = (error as { fix?: string }).fix ?? "See the log for the engine that failed";
      return refuse(proposal, subject, [problemOf(subject, "", says, fix)], true);
    }
    const atMs = clock.nowMs();
    current = { ...result, snapshot, files, overlay, pushed: layers.pushed, appliedAtMs: atMs };
    options.onApplied?.(current);
    if (proposal.pushed) keepPushed(proposal.pushed, files, layers.own);
    keep(() => {
      if (proposal.overlay && !proposal.pushed) keepOwn(layers.own);
      store.recordGeneration({ generation, atMs, source: proposal.source, digest: files.digest, changes });
    });
    for (const warning of problems) log.warn({ file: warning.file, line: warning.line }, formatProblem(warning));
    resolveAlarm(subject);
    emit({
      kind: "config.applied",
      atMs,
      severity: "info",
      subject,
      says: `Generation ${generationText(generation)} serves: ${changes.join("; ") || "nothing differs"}`,
      data: { source: proposal.source, generation: generationText(generation), warnings: problems.length },
    });
    for (const { what, problems: wrong } of misfits) leaveOut(what, wrong, subject);
    return { isApplied: true, isDryRun, isUnchanged: false, generation, problems, changes };
  };

  return {
    current: () => current,
    history: (limit = 50) => store.generations(limit),
    propose(proposal) {
      const result = queue
        .then(() => run(proposal))
        .catch((error: unknown) => {
          // A fault of ours, not of the configuration; what serves goes on serving.
          log.error({ error }, "The configuration could not be processed");
          const fix = "Report it, with the log of this time";
          const problem = problemOf("rhumb.yaml", "", `Internal fault: ${String(error)}`, fix);
          return refuse(proposal, "rhumb", [problem], true);
        });
      queue = result;
      return result;
    },
  };
}
