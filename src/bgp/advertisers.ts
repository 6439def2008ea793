/**
 * May this node take its route away, by plan? Only where enough others go on announcing (ruling 19).
 *
 * Two nodes that ask at once must not both go. Each says `draining` in its record, and looks again when others have heard it
 * and it has heard them: of those that drain, the one with the lowest name goes, and the others find that they would be too
 * few, and stay. Withdrawals that are not by plan, because serving is broken, ask nobody.
 * @module
 */
import type { AnycastShare, PrefixPhase } from "#state/anycast.ts";

/** What the records of other live nodes say. */
export type Others = {
  /** False: what others publish does not reach us now. */
  readonly isKnown: boolean;
  /** Where `isKnown` is false, why. */
  readonly says: string;
  readonly shares: readonly { readonly node: string; readonly share: AnycastShare }[];
};

const phaseOf = (share: AnycastShare, prefix: string): PrefixPhase | undefined =>
  share.prefixes.find((entry) => entry.prefix === prefix)?.phase;

/** Nodes that announce the prefix now, in the order of their names; this one is not among them. */
export const advertisersOf = ({ shares }: Others, prefix: string): string[] =>
  shares
    .filter(({ share }) => ["advertised", "draining"].includes(phaseOf(share, prefix) ?? ""))
    .map(({ node }) => node)
    .sort();

/**
 * @param isDraining this node has said so already: then those that drain and have to let it go first count as staying
 * @returns why it must stay; undefined: it may go
 */
export function whyNotLeave(
  {
    node,
    prefix,
    minAdvertisers,
    isDraining,
  }: {
    readonly node: string;
    readonly prefix: string;
    readonly minAdvertisers: number;
    readonly isDraining: boolean;
  },
  others: Others,
): string | undefined {
  if (minAdvertisers === 0) return undefined;
  if (!others.isKnown) return `nobody knows who else announces ${prefix}: ${others.says}`;
  const staying = others.shares.filter(({ node: other, share }) => {
    const phase = phaseOf(share, prefix);
    return phase === "advertised" || (isDraining && phase === "draining" && other > node);
  });
  if (staying.length >= minAdvertisers) return undefined;
  const names = staying.map((one) => one.node).sort();
  const left = names.length === 0 ? "nobody else announces it" : `only ${names.join(", ")} would go on announcing it`;
  return `${prefix} needs ${minAdvertisers} that announce it, and ${left}`;
}
