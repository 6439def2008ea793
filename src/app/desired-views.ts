/**
 * What the API tells and takes of the desired configuration. Translates; decides nothing.
 * @module
 */
import type { AuditEntry, Commands, ConfigPushView, DesiredLogView, NodeStateView, Views } from "#api/views.ts";
import { generationText } from "#app/generation-text.ts";
import type { NodeParts } from "#app/node-parts.ts";
import { type DesiredStore, type PushResult, type TakenVersion, textsOf } from "#config/create-desired.ts";
import { versionText } from "#config/desired.ts";
import type { LoggedVersion } from "#config/desired-log.ts";
import { nodeStates } from "#config/desired-nodes.ts";
import { openPushFolder, readOwnTexts } from "#config/pushed-files.ts";
import { diffTexts } from "#config/text-diff.ts";

export function createDesiredViews({
  desired,
  options,
}: Pick<NodeParts, "desired" | "options">): Pick<Views, "desired" | "desiredLog" | "desiredDiff"> {
  function textsAt(side: string): Record<string, string> {
    const { accepted } = desired.view();
    if (side === "none") return {};
    if (side === "disk") return readOwnTexts(openPushFolder(options.config), Object.keys(accepted?.files ?? {}));
    return textsOf(desired.find(side));
  }
  return {
    desired() {
      const { accepted, refusal, forks } = desired.view();
      return {
        version: accepted ? versionText(accepted.version) : null,
        isServed: refusal === "",
        refusal,
        files: { ...accepted?.files },
        overlay: { ...accepted?.overlay },
        forks: forks.map(({ version }) => versionText(version)),
      };
    },
    desiredLog() {
      const view = desired.view();
      const forks = new Set(view.forks.map(({ version }) => versionText(version)));
      const now = view.accepted && versionText(view.accepted.version);
      return view.log.map((entry) => logRow(entry, now, forks));
    },
    desiredDiff(from, to) {
      const { accepted } = desired.view();
      const side = to ?? (accepted ? versionText(accepted.version) : "none");
      return { from, to: side, diff: diffTexts(textsAt(from), textsAt(side)) };
    },
  };
}

function logRow(
  { desired, outcome }: LoggedVersion,
  now: string | undefined,
  forks: ReadonlySet<string>,
): DesiredLogView[number] {
  const { atMs, actor, reason, breakGlass, files } = desired;
  const version = versionText(desired.version);
  const settled = !outcome ? "waiting" : !outcome.isApplied ? "refused" : version === now ? "serves" : "served";
  return {
    version,
    atMs,
    actor,
    reason,
    breakGlass,
    files: Object.keys(files),
    state: forks.has(version) ? "fork" : settled,
    says: outcome?.isApplied === false ? outcome.says : (outcome?.changes.join("; ") ?? ""),
  };
}

export function nodeStatesView({ door, desired, cluster, options }: NodeParts): NodeStateView[] {
  const { accepted, forks } = desired.view();
  const { node, generation } = door.current()!.snapshot;
  const state = { accepted, forks: new Map(forks.map((fork) => [versionText(fork.version), fork])) };
  const own = { node, version: options.version, serves: generation, desired: desired.heartbeat() };
  return nodeStates(state, own, cluster.peers());
}

export function createDesiredCommands(
  desired: DesiredStore,
): Pick<Commands, "proposeConfig" | "rollbackConfig" | "resolveConfig"> {
  return {
    proposeConfig: async ({ files, overlay, partial, reason, breakGlass = null, basedOn, isDryRun }, { name: actor }) =>
      pushView(
        await desired.push({ files, overlay, isPartial: partial, reason, breakGlass, basedOn, isDryRun, actor }),
      ),
    rollbackConfig: async ({ version, reason, breakGlass = null }, { name: actor }) =>
      pushView(await desired.rollback(version, { actor, reason, breakGlass })),
    resolveConfig: async ({ take, reason }, { name: actor }) =>
      pushView(await desired.resolve(take, { actor, reason })),
  };
}

/** What another node's API was asked for and this one took. */
export const auditOfPush = ({ version, actor, says, isServed, diff }: TakenVersion, atMs: number): AuditEntry => ({
  atMs,
  name: actor,
  role: null,
  remote: "cluster",
  action: "take a push",
  subject: version,
  status: isServed ? 200 : 422,
  says,
  ...(diff !== "" && { diff }),
});

const pushView = (result: PushResult): ConfigPushView => ({
  isApplied: result.isApplied,
  isDryRun: result.isDryRun,
  generation: result.isApplied && result.generation ? generationText(result.generation) : null,
  problems: result.problems.map((problem) => ({ ...problem })),
  changes: [...result.changes],
  version: result.version,
  diff: result.diff,
});
