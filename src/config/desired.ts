/**
 * What to do with a desired configuration that comes in: take it, leave it, or call it a conflict. Pure.
 *
 * Each says which versions it builds on. What a node has accepted is followed only by what builds on it, so that nothing
 * older ever comes back, in whatever order, how often or how late records arrive; and what two sides of a split changed
 * apart from each other is never settled by a clock, but by an operator (ruling 16).
 * @module
 */
import {
  compareVersions,
  type DesiredConfig,
  MAX_ANCESTORS,
  type RecordVersion,
  type SharedRecord,
} from "#state/shared.ts";

export type Desired = DesiredConfig & { readonly version: RecordVersion; readonly atMs: number };

/** `1.5.ns1`: epoch, sequence, node. */
export const versionText = ({ epoch, sequence, node }: RecordVersion): string => `${epoch}.${sequence}.${node}`;

export function parseVersion(text: string): RecordVersion | undefined {
  const match = /^(\d{1,15})\.(\d{1,15})\.(.+)$/.exec(text);
  return match ? { epoch: Number(match[1]), sequence: Number(match[2]), node: match[3]! } : undefined;
}

const includes = (versions: readonly RecordVersion[], version: RecordVersion): boolean =>
  versions.some((one) => compareVersions(one, version) === 0);

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const isVersion = (value: unknown): value is RecordVersion =>
  isMap(value) &&
  Number.isSafeInteger(value["epoch"]) &&
  Number.isSafeInteger(value["sequence"]) &&
  typeof value["node"] === "string";

const FORK_PREFIX = "fork/";
export const DESIRED_KEY = "desired";
export const forkKey = (version: RecordVersion): string => `${FORK_PREFIX}${versionText(version)}`;

/** @returns what the record says; undefined: it has not the shape of a desired configuration */
export function readDesired({ key, version, atMs, body }: SharedRecord<"config">): Desired | undefined {
  const of = key === DESIRED_KEY ? version : key.startsWith(FORK_PREFIX) ? parseVersion(key.slice(5)) : undefined;
  const { ancestors, files, overlay, actor, reason, breakGlass } = body as unknown as Record<string, unknown>;
  const isDesired =
    of !== undefined &&
    Array.isArray(ancestors) &&
    ancestors.length <= MAX_ANCESTORS &&
    ancestors.every(isVersion) &&
    isMap(files) &&
    Object.values(files).every((text) => typeof text === "string") &&
    isMap(overlay) &&
    typeof actor === "string" &&
    typeof reason === "string" &&
    (breakGlass === null || typeof breakGlass === "string");
  return isDesired ? { ...body, version: of, atMs } : undefined;
}

/** Whether `later` was made by somebody who had `earlier`. A chain that is too long to be kept whole is believed. */
export function buildsOn(later: Desired, earlier: Desired): boolean {
  const { ancestors } = later;
  if (includes(ancestors, earlier.version)) return true;
  return ancestors.length >= MAX_ANCESTORS && compareVersions(earlier.version, ancestors.at(-1)!) < 0;
}

export type Content = Pick<DesiredConfig, "files" | "overlay">;

/** Whether two say the same, whoever said it. */
export function isSameContent(a: Content, b: Content): boolean {
  const sorted = ({ files, overlay }: Content): string =>
    JSON.stringify([Object.entries(files).sort(([x], [y]) => (x < y ? -1 : 1)), overlay]);
  return sorted(a) === sorted(b);
}

/** `take`: it replaces what is accepted. `known`: this one, or one from before it. `fork`: neither builds on the other. */
export type Judgement = "take" | "known" | "fork";

/** @param accepted the newest that this node follows, whether it could apply it or not */
export function judge(accepted: Desired | undefined, incoming: Desired): Judgement {
  if (!accepted) return "take";
  const order = compareVersions(incoming.version, accepted.version);
  // A node that lost its memory may make one version twice: who carries records keeps one of them, the same everywhere.
  if (order === 0) return isSameContent(accepted, incoming) ? "known" : "take";
  if (buildsOn(accepted, incoming)) return "known";
  if (buildsOn(incoming, accepted)) return "take";
  if (isSameContent(accepted, incoming)) return order > 0 ? "take" : "known";
  return "fork";
}

/** What one that builds on all of `heads` names as its ancestors. */
export function ancestorsOf(heads: readonly Desired[]): RecordVersion[] {
  const all = heads.flatMap(({ version, ancestors }) => [version, ...ancestors]).sort((a, b) => compareVersions(b, a));
  return all.filter((version, at) => at === 0 || compareVersions(version, all[at - 1]!) !== 0).slice(0, MAX_ANCESTORS);
}

export type DesiredState = {
  readonly accepted: Desired | undefined;
  /** What others serve that does not build on it, by version: while there is one, there is a conflict. */
  readonly forks: ReadonlyMap<string, Desired>;
};
export const EMPTY_STATE: DesiredState = { accepted: undefined, forks: new Map() };

/** The state after `incoming`, and what became of it. What comes again, or late, changes nothing. */
export function receive(
  state: DesiredState,
  incoming: Desired,
): { readonly state: DesiredState; readonly judgement: Judgement } {
  const judgement = judge(state.accepted, incoming);
  if (judgement === "known" || state.forks.has(versionText(incoming.version))) return { state, judgement };
  const forks = new Map(state.forks);
  if (judgement === "fork") forks.set(versionText(incoming.version), incoming);
  const accepted = judgement === "take" ? incoming : state.accepted;
  // What the accepted one builds on, or says as well, is no longer beside it.
  for (const [version, fork] of forks) if (judge(accepted, fork) !== "fork") forks.delete(version);
  return { state: { accepted, forks }, judgement };
}
