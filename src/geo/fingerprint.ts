/**
 * What must not change suddenly when a database file is replaced: how much it knows, and which country is where.
 *
 * A fingerprint is small (about 200 KiB), so that the loader can compare a new file with the one that serves without
 * keeping that one in memory. It looks at IPv4 by its 65,536 blocks of /16, and at the number of networks.
 * @module
 */
import type { PlaceDatabase } from "#geo/database.ts";

export type Fingerprint = {
  readonly networks: number;
  /** Share of each IPv4 /16 that has a place, 0 to 255. */
  readonly known: Uint8Array;
  /** The country (or, without one, the continent) with most addresses in each /16, as two ASCII octets; 0: none. */
  readonly country: Uint16Array;
};

/** A new file that lost more than this share of networks, or of known IPv4 space, is refused: a cut-off or trial file. */
const MAX_LOST_PERCENT = 20;
/**
 * A new file that puts more than this share of the IPv4 space known to both into other countries is refused. Weekly
 * updates move under 1 %; a change of maker up to about 10 %.
 */
const MAX_MOVED_PERCENT = 25;

const BLOCKS = 65_536;

export function takeFingerprint(database: PlaceDatabase): Fingerprint {
  const { tree, places } = database;
  const known = new Uint8Array(BLOCKS);
  const country = new Uint16Array(BLOCKS);
  const codeOfPlace = Uint16Array.from(places, (place) => {
    const code = place.country || place.continent;
    return code === "" ? 0 : (code.charCodeAt(0) << 8) | code.charCodeAt(1);
  });
  const share = new Map<number, number>();
  const addBlock = (reference: number, weight: number): void => {
    if (reference >= 0) {
      addBlock(tree.children[reference]!, weight / 2);
      addBlock(tree.children[reference + 1]!, weight / 2);
    } else if (reference !== ~0) {
      const code = codeOfPlace[~reference]!;
      share.set(code, (share.get(code) ?? 0) + weight);
    }
  };
  const visit = (reference: number, depth: number, first: number): void => {
    const span = BLOCKS >>> depth;
    if (reference >= 0 && depth < 16) {
      visit(tree.children[reference]!, depth + 1, first);
      visit(tree.children[reference + 1]!, depth + 1, first + span / 2);
      return;
    }
    share.clear();
    addBlock(reference, 1);
    let total = 0;
    let most = 0;
    let mostCode = 0;
    for (const [code, weight] of share) {
      total += weight;
      if (weight > most) {
        most = weight;
        mostCode = code;
      }
    }
    known.fill(Math.ceil(total * 255), first, first + span);
    country.fill(mostCode, first, first + span);
  };
  visit(tree.ipv4Root, 0, 0);
  return { networks: tree.networks, known, country };
}

/** The part of `findLoss` that also holds for ASN databases. */
export function findNetworkLoss(serving: number, next: number): string | undefined {
  const lostPercent = (1 - next / serving) * 100;
  if (lostPercent <= MAX_LOST_PERCENT) return undefined;
  return `it has ${next} networks, ${lostPercent.toFixed(0)} % fewer than the ${serving} in use`;
}

/** @returns why `next` must not replace `serving` unasked, or undefined when it may */
export function findLoss(serving: Fingerprint, next: Fingerprint): string | undefined {
  const networkLoss = findNetworkLoss(serving.networks, next.networks);
  if (networkLoss !== undefined) return networkLoss;
  let known = 0;
  let lost = 0;
  let both = 0;
  let moved = 0;
  for (let block = 0; block < BLOCKS; block++) {
    const before = serving.known[block]!;
    const after = next.known[block]!;
    known += before;
    lost += Math.max(0, before - after);
    both += Math.min(before, after);
    if (serving.country[block] !== next.country[block]) moved += Math.min(before, after);
  }
  const lostPercent = known === 0 ? 0 : (lost / known) * 100;
  if (lostPercent > MAX_LOST_PERCENT) return `it no longer knows ${lostPercent.toFixed(0)} % of the IPv4 space in use`;
  const movedPercent = both === 0 ? 0 : (moved / both) * 100;
  if (movedPercent > MAX_MOVED_PERCENT)
    return `it moves ${movedPercent.toFixed(0)} % of the IPv4 space to other countries`;
  return undefined;
}
