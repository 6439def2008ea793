/**
 * The desired configuration of all nodes: takes what others push, pushes what this node's API is asked for.
 *
 * Owns:    what is accepted (`desired.ts` decides), and the order in which it comes to the door, one at a time. A push is
 *          tried out here first; then it is a record, and every node takes it through its own door. What a node refuses
 *          it goes on without, with its last good one, until its own files let it in or something newer comes.
 * Never:   displaces what serves by something older, or by one side of a conflict: an operator chooses (ruling 16).
 * Flow:    push → dry run of the door → `Shared.publish()` → accept → door. From others: `Shared.onRecord()` → accept → door.
 * @module
 */
import type { Clock } from "#base/clock.ts";
import { RhumbError } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import { formatProblem, hasErrors, type Problem } from "#base/problem.ts";
import { pushedProblems } from "#config/check-pushed.ts";
import {
  ancestorsOf,
  type Content,
  DESIRED_KEY,
  type Desired,
  forkKey,
  isSameContent,
  judge,
  readDesired,
  receive,
  versionText,
} from "#config/desired.ts";
import { createDesiredLog, type LoggedVersion, type LogStore } from "#config/desired-log.ts";
import type { Overlay } from "#config/overlay.ts";
import type { ConfigDoor, Proposal, ProposalResult } from "#config/propose.ts";
import { type Pushed, sharedOf } from "#config/pushed.ts";
import { diffTexts } from "#config/text-diff.ts";
import type { Emit, RhumbEvent } from "#state/events.ts";
import { compareVersions, type DesiredConfig, type Heartbeat, type Shared, type SharedRecord } from "#state/shared.ts";

const FOR_GOOD_MS = Number.MAX_SAFE_INTEGER;
const FORK_TTL_MS = 30 * 86_400_000;

/** Who asks, and why. */
export type PushedBy = { readonly actor: string; readonly reason: string };
export type PushRequest = PushedBy & {
  /** By name (`pushed.ts`); null takes one back, so that each node's own file serves again. Left out: the files stay. */
  readonly files?: Readonly<Record<string, string | null>> | undefined;
  /** The files that are not named stay. Otherwise `files` are all that is pushed. */
  readonly isPartial?: boolean;
  /** The API's whole overlay, as it came. Its pools are this node's own. Left out: it stays. */
  readonly overlay?: Readonly<Record<string, unknown>> | undefined;
  readonly breakGlass: string | null;
  readonly isDryRun: boolean;
  /** The version that the caller saw, such as `1.5.ns1`; `none`: nothing was pushed. Another one is accepted: refused. */
  readonly basedOn?: string | undefined;
};
export type PushResult = ProposalResult & {
  /** What is desired now; null: nothing was pushed yet. */
  readonly version: string | null;
  readonly diff: string;
};

export type DesiredView = {
  readonly accepted: Desired | undefined;
  /** What serves here of what was pushed. */
  readonly served: Pushed | undefined;
  /** Empty where the accepted one serves. */
  readonly refusal: string;
  readonly forks: readonly Desired[];
  /** Newest first. */
  readonly log: readonly LoggedVersion[];
};

export type DesiredStore = {
  /** Takes what the other nodes have; to be called once the first configuration serves. */
  start(): Promise<void>;
  /** The door applied a configuration: what was refused may fit now. */
  applied(): void;
  /**
   * Does not throw for texts that are no good: it returns the problems.
   * @throws RhumbError RHUMB_CONFIG_CONFLICT, RHUMB_CONFIG_MOVED, RHUMB_CONFIG_NOT_SERVED, RHUMB_CONFIG_NOT_SHARED
   */
  push(request: PushRequest): Promise<PushResult>;
  /**
   * Pushes what an earlier version said. Without `version` it takes back the last push, whatever vanishes with it.
   * @param version as `versionText()` writes it; `none`: the files of each node alone
   * @throws RhumbError as `push()`; RHUMB_CONFIG_VERSION_UNKNOWN
   */
  rollback(version: string | undefined, by: PushedBy & { readonly breakGlass: string | null }): Promise<PushResult>;
  /** @throws RhumbError RHUMB_CONFIG_NO_CONFLICT, RHUMB_CONFIG_VERSION_UNKNOWN, RHUMB_CONFIG_NOT_SHARED */
  resolve(take: string, by: PushedBy): Promise<PushResult>;
  view(): DesiredView;
  /** @throws RhumbError RHUMB_CONFIG_VERSION_UNKNOWN */
  find(version: string): Desired;
  /** For this node's heartbeat. */
  heartbeat(): Heartbeat["desired"];
  /** Resolves when all that has come so far is settled. */
  idle(): Promise<void>;
};

export type DesiredOptions = {
  readonly door: Pick<ConfigDoor, "propose" | "current">;
  readonly shared: Pick<Shared, "publish" | "records" | "onRecord" | "status">;
  readonly store: LogStore;
  readonly log: Log;
  readonly emit: Emit;
  readonly clock: Clock;
  /** Told of each version that came from another node and was brought to the door, for the audit log. */
  readonly onTaken?: (taken: TakenVersion) => void;
};
export type TakenVersion = {
  readonly version: string;
  readonly actor: string;
  readonly says: string;
  readonly isServed: boolean;
  readonly diff: string;
};

const NOTHING = { files: {}, overlay: {} } as const;
const subject = "desired configuration";

export function createDesired(options: DesiredOptions): DesiredStore {
  const { door, shared, log, clock } = options;
  const versions = createDesiredLog(options);
  let state = versions.state();
  /** Why the accepted one does not serve here; empty: it does. */
  let refusal = "";
  let toldForks = "";
  /** What is being published: this node takes it itself, in the turn in which it was published. */
  let isGiving = false;
  let queue: Promise<unknown> = Promise.resolve();

  const inTurn = <Result>(work: () => Promise<Result>): Promise<Result> => {
    const result = queue.then(work);
    queue = result.catch(() => {});
    return result;
  };
  const tell = (event: Omit<RhumbEvent, "atMs" | "subject">): void =>
    options.emit({ ...event, atMs: clock.nowMs(), subject });

  // ── taking ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Brings the accepted one to the door. @param own the new overlay of this node alone */
  async function serve(desired: Desired, own?: Proposal["overlay"]): Promise<ProposalResult> {
    const version = versionText(desired.version);
    const before = refusal;
    const problems = pushedProblems(desired.files);
    const result: ProposalResult = hasErrors(problems)
      ? { isApplied: false, isDryRun: false, isUnchanged: false, generation: undefined, problems, changes: [] }
      : await door.propose({
          source: "push",
          pushed: pushedOf(desired),
          breakGlass: desired.breakGlass ?? catchingUp(desired),
          ...(own && { overlay: own }),
        });
    const isServed = result.isApplied || result.isUnchanged;
    refusal = isServed ? "" : firstError(result.problems);
    versions.settle(desired, { isApplied: isServed, says: refusal, changes: result.changes });
    const by = `${desired.actor}${desired.reason === "" ? "" : `: ${desired.reason}`}`;
    const data = { version, actor: desired.actor, reason: desired.reason, breakGlass: desired.breakGlass };
    if (!isServed) {
      if (refusal === before) return result;
      const says = `Version ${version} by ${by} is refused here, and what served before goes on: ${refusal}`;
      tell({ kind: "config.desired", severity: "alarm", says, data });
    } else {
      const severity = before !== "" ? "resolved" : desired.breakGlass === null ? "info" : "warning";
      const glass = desired.breakGlass === null ? "" : ` (glass broken: ${desired.breakGlass})`;
      const changes = result.changes.join("; ") || "nothing differs";
      tell({ kind: "config.desired", severity, says: `Version ${version} by ${by}${glass} serves: ${changes}`, data });
    }
    return result;
  }

  /**
   * What serves here may lie several versions back. Where the glass was broken for one of those between, or one never came
   * here, this node cannot ask again: whoever pushed them was asked each time.
   */
  function catchingUp({ ancestors }: Desired): string | null {
    const served = door.current()?.pushed?.version;
    const between = ancestors.filter((version) => !served || compareVersions(version, served) > 0);
    for (const version of between) {
      const known = versions.find(versionText(version));
      if (!known?.outcome) return "this node missed versions before it";
      if (known.desired.breakGlass !== null) return known.desired.breakGlass;
    }
    return null;
  }

  async function accept(desired: Desired, own?: Proposal["overlay"]): Promise<ProposalResult | undefined> {
    const received = receive(state, desired);
    if (received.state === state) return undefined;
    state = received.state;
    versions.save(state);
    tellForks();
    if (received.judgement === "take") return serve(desired, own);
    keepOurs();
    return undefined;
  }

  /** In a conflict the others see the side that the clock chose alone: ours is published beside it, so that all have both. */
  function keepOurs(): void {
    const { accepted } = state;
    if (!accepted || state.forks.size === 0) return;
    const key = forkKey(accepted.version);
    if (shared.records("config").some((record) => record.key === key)) return;
    publish(key, bodyOf(accepted), FORK_TTL_MS);
  }

  function publish(key: string, body: DesiredConfig, ttlMs: number, isNewEpoch = false): SharedRecord<"config"> {
    isGiving = true;
    try {
      return shared.publish("config", key, body, ttlMs, { isNewEpoch });
    } finally {
      isGiving = false;
    }
  }

  function tellForks(): void {
    const forks = [...state.forks.keys()].sort().join(", ");
    if (forks === toldForks) return;
    toldForks = forks;
    const serving = state.accepted ? versionText(state.accepted.version) : "nothing";
    if (forks === "")
      tell({ kind: "config.conflict", severity: "resolved", says: `The conflict is resolved: ${serving} is desired` });
    else
      tell({
        kind: "config.conflict",
        severity: "alarm",
        says: `Version ${serving}, which serves here, and ${forks} were made apart from each other: each node keeps what it serves. Choose by \`rhumb config resolve --take VERSION\``,
        data: { serving, forks },
      });
  }

  function take(record: SharedRecord<"config">): Promise<void> {
    const desired = readDesired(record);
    if (!desired) {
      log.warn({ key: record.key }, "What came as a desired configuration has another shape and is left out");
      return Promise.resolve();
    }
    return inTurn(async () => {
      const before = state.accepted ?? NOTHING;
      if (!(await accept(desired))) return;
      options.onTaken?.({
        version: versionText(desired.version),
        actor: desired.actor,
        says: refusal === "" ? desired.reason : refusal,
        isServed: refusal === "",
        diff: diffTexts(textsOf(before), textsOf(desired)),
      });
    });
  }

  // ── giving ─────────────────────────────────────────────────────────────────────────────────────────────────────

  const acceptedVersion = (): string | null => (state.accepted ? versionText(state.accepted.version) : null);

  function mustBeSettled(basedOn: string | undefined): void {
    if (state.forks.size > 0) throw new RhumbError("RHUMB_CONFIG_CONFLICT", toldForks);
    const now = acceptedVersion() ?? "none";
    // Its store is new or was lost: what it would make might look older than what the others have.
    if (!state.accepted && !shared.status().isConnected)
      throw new RhumbError("RHUMB_CONFIG_NOT_SHARED", "this node does not reach the others, and knows no version yet");
    if (basedOn !== undefined && basedOn !== now) throw new RhumbError("RHUMB_CONFIG_MOVED", now);
  }

  /** Something came while we were trying out: it waits for its turn, and must not become a conflict with ours. */
  function mustBeNewest(): void {
    for (const record of shared.records("config")) {
      const desired = readDesired(record);
      if (desired && judge(state.accepted, desired) !== "known")
        throw new RhumbError("RHUMB_CONFIG_MOVED", versionText(desired.version));
    }
  }

  type Giving = PushedBy & { readonly breakGlass: string | null };
  async function give(
    content: Content,
    heads: readonly Desired[],
    by: Giving,
    how: { readonly isDryRun: boolean; readonly own?: Overlay | undefined; readonly isResolving?: boolean },
  ): Promise<PushResult> {
    const before = state.accepted ?? { files: {}, overlay: sharedOf(door.current()?.overlay ?? {}) };
    const version = acceptedVersion();
    const body: DesiredConfig = { ...content, ...by, ancestors: ancestorsOf(heads) };
    const isNew = how.isResolving === true || !isSameContent(before, content);
    if (refusal !== "" && by.breakGlass === null) throw new RhumbError("RHUMB_CONFIG_NOT_SERVED", refusal);
    const problems = pushedProblems(content.files);
    if (hasErrors(problems)) return { ...refusedFor(problems, how.isDryRun), version, diff: "" };
    const diff = diffTexts(textsOf(before), textsOf(content));
    const own = how.own && { overlay: how.own };
    const trial = { ...bodyToPushed(body), version: { epoch: 0, sequence: 0, node: "" } };
    const tried = await door.propose({
      source: "push",
      pushed: trial,
      breakGlass: by.breakGlass,
      isDryRun: true,
      ...own,
    });
    if (how.isDryRun || hasErrors(tried.problems)) return { ...tried, version, diff };
    // Only what is this node's own differs, or nothing at all.
    if (!isNew && !own) return { ...tried, isDryRun: false, isUnchanged: true, version, diff };
    if (!isNew) return { ...(await door.propose({ source: "api", ...own })), version, diff };
    if (how.isResolving !== true) mustBeNewest();
    // What an operator chose is not displaced by who was apart, and went on counting there (ruling 16).
    const record = publish(DESIRED_KEY, body, FOR_GOOD_MS, how.isResolving);
    const isKept = shared.records("config").some(({ key, version: one }) => {
      return key === DESIRED_KEY && compareVersions(one, record.version) === 0;
    });
    if (!isKept) throw new RhumbError("RHUMB_CONFIG_NOT_SHARED", versionText(record.version));
    const result = await accept({ ...body, version: record.version, atMs: record.atMs }, how.own);
    return { ...(result ?? tried), version: acceptedVersion(), diff };
  }

  function find(version: string): Desired {
    const found = versions.find(version)?.desired;
    if (!found) throw new RhumbError("RHUMB_CONFIG_VERSION_UNKNOWN", version);
    return found;
  }
  const headsNow = (): Desired[] => [state.accepted ?? [], ...state.forks.values()].flat();

  return {
    start() {
      shared.onRecord("config", (_key, record) => {
        if (record && !isGiving) void take(record);
      });
      for (const record of shared.records("config")) void take(record);
      return inTurn(async () => {
        const { accepted } = state;
        const serving = door.current()?.pushed;
        toldForks = "";
        tellForks();
        keepOurs();
        // It was accepted, and the process ended before it served; or it did not fit then.
        if (accepted && (!serving || compareVersions(serving.version, accepted.version) !== 0)) await serve(accepted);
      });
    },
    applied() {
      if (refusal === "") return;
      void inTurn(async () => {
        if (refusal !== "" && state.accepted) await serve(state.accepted);
      });
    },
    push: (request) =>
      inTurn(async () => {
        mustBeSettled(request.basedOn);
        const base = state.accepted ?? { files: {}, overlay: sharedOf(door.current()?.overlay ?? {}) };
        const overlay = request.overlay ? sharedOf(request.overlay) : base.overlay;
        const own = request.overlay && withoutShared(request.overlay);
        const files = nextFiles(base.files, request);
        const heads = headsNow();
        return give({ files, overlay }, heads, giver(request), { isDryRun: request.isDryRun, own });
      }),
    rollback: (version, by) =>
      inTurn(async () => {
        mustBeSettled(undefined);
        const { accepted } = state;
        if (!accepted) throw new RhumbError("RHUMB_CONFIG_VERSION_UNKNOWN", version ?? "none");
        const parent = accepted.ancestors[0];
        const to = version ?? (parent ? versionText(parent) : "none");
        const content = to === "none" ? NOTHING : find(to);
        const breakGlass = version === undefined ? `takes back ${versionText(accepted.version)}` : by.breakGlass;
        const reason = by.reason === "" ? `back to ${to}` : by.reason;
        const { files, overlay } = content;
        return give({ files, overlay }, [accepted], { ...giver(by), reason, breakGlass }, { isDryRun: false });
      }),
    resolve: (take_, by) =>
      inTurn(async () => {
        if (state.forks.size === 0) throw new RhumbError("RHUMB_CONFIG_NO_CONFLICT", take_);
        const { files, overlay } = find(take_);
        const reason = by.reason === "" ? `resolves the conflict by ${take_}` : by.reason;
        const giving = { ...giver(by), reason, breakGlass: `the conflict is resolved by ${take_}` };
        return give({ files, overlay }, headsNow(), giving, { isDryRun: false, isResolving: true });
      }),
    view: () => ({
      accepted: state.accepted,
      served: door.current()?.pushed,
      refusal,
      forks: [...state.forks.values()],
      log: versions.list(),
    }),
    find,
    heartbeat: () =>
      state.accepted
        ? { version: state.accepted.version, isApplied: refusal === "", says: refusal.slice(0, 500) }
        : null,
    async idle() {
      await queue;
    },
  };
}

const giver = ({ actor, reason, breakGlass = null }: PushedBy & { readonly breakGlass?: string | null }) => {
  return { actor, reason, breakGlass };
};

/** The overlay without what all nodes share. */
function withoutShared(overlay: Readonly<Record<string, unknown>>): Overlay {
  const { services: _services, regions: _regions, ...own } = overlay;
  return own as Overlay;
}

function nextFiles(
  before: Readonly<Record<string, string>>,
  { files, isPartial = false }: PushRequest,
): Readonly<Record<string, string>> {
  if (!files) return before;
  const next = new Map(isPartial ? Object.entries(before) : []);
  for (const [name, text] of Object.entries(files)) {
    if (text === null) next.delete(name);
    else next.set(name, text);
  }
  return Object.fromEntries(next);
}

const bodyOf = ({ version: _version, atMs: _atMs, ...body }: Desired): DesiredConfig => body;
const bodyToPushed = ({ files, overlay, actor }: DesiredConfig) => {
  return { files, overlay: sharedOf(overlay), actor, disk: {} };
};
const pushedOf = (desired: Desired): Pushed => ({ ...bodyToPushed(desired), version: desired.version });

/** All that a version says as texts, to be compared: the overlay as one more file. */
export const textsOf = ({ files, overlay }: Content): Record<string, string> => ({
  ...files,
  ...(Object.keys(overlay).length > 0 && { "(api)": `${JSON.stringify(overlay, null, 2)}\n` }),
});

const refusedFor = (problems: readonly Problem[], isDryRun: boolean): ProposalResult => {
  return { isApplied: false, isDryRun, isUnchanged: false, generation: undefined, problems, changes: [] };
};

function firstError(problems: readonly Problem[]): string {
  const errors = problems.filter(({ severity }) => severity === "error");
  const more = errors.length > 1 ? `, and ${errors.length - 1} more` : "";
  return errors[0] ? `${formatProblem(errors[0])}${more}` : "it could not be applied";
}
