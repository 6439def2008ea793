/**
 * Builds a client map: database × AS database × overlay → location → class, folded and clamped.
 *
 * Owns:    the product walk. Leaves are disjoint and their union is everything, so a leaf's depth is a right ECS scope
 *          (RFC 7871 §7.2.1). The borders depend on configuration and databases only, never on health.
 * Writer:  `app/geo-worker.ts` calls it, away from the control thread. Time: a few seconds for a City database.
 * @module
 */
import type { AsnDatabase, GeoTree, PlaceDatabase } from "#geo/database.ts";
import { NO_PLACE } from "#geo/database.ts";
import type { Classify, Location } from "#geo/location.ts";
import { createOverlay } from "#geo/overlay.ts";
import { countLeaves, createTriePairs, LEAF_6TO4, layOutTrie, leafMapped } from "#geo/trie.ts";
import { MAX_WALK_VALUE } from "#geo/walk.ts";
import type { ClassFacts } from "#state/class-facts.ts";
import type { ClientMap } from "#state/client-map.ts";
import type { GeoOverride, MapSpec } from "#state/snapshot.ts";

/**
 * Resolvers send at most this much of an address (RFC 7871 §11.1), so nothing finer may tell clients apart: a deeper
 * leaf would be cached for the whole block, for clients that should have got something else.
 */
export const CLAMP_BITS = { v4: 24, v6: 48 } as const;

export type BuildInput = {
  readonly spec: MapSpec;
  /** City or Country database; undefined: only overrides know anyone. */
  readonly places: PlaceDatabase | undefined;
  /** Looked at only when an override or a fence asks for an AS. */
  readonly asns: AsnDatabase | undefined;
  readonly overrides: readonly GeoOverride[];
  readonly classify: Classify;
  readonly generation: number;
};
export type BuildReport = {
  /** Blocks of /24 or /48 in which the majority outvoted others. */
  readonly clampedBlocks: number;
  /** Leaves before folding. */
  readonly productLeaves: number;
  /** Networks of overrides or fences that cannot work, one sentence each. */
  readonly ignored: readonly string[];
};

const NO_TREE: GeoTree = { children: new Int32Array(0), ipv4Root: ~0, ipv6Root: ~0, networks: 0 };

/**
 * In a clamped block the class with most addresses wins, the one that comes first on a tie. Unknown addresses have no
 * vote while others are known: an answer for a neighbour beats the default order.
 *
 * @throws RangeError when the locations make more than 4 million classes; `classify` rounds, so they do not
 */
export function buildClientMap(input: BuildInput): { readonly map: ClientMap; readonly report: BuildReport } {
  const { spec, classify } = input;
  const overlay = createOverlay(input.overrides, spec.fences);
  const placeTree = input.places?.tree ?? NO_TREE;
  const places = input.places?.places ?? [NO_PLACE];
  const asnTree = overlay.askedAsns.size > 0 && input.asns ? input.asns.tree : NO_TREE;
  /** AS numbers nobody asks for are all the same to the map: index 0. */
  const asked = [0, ...overlay.askedAsns];
  const askedOfAsn = new Map(asked.map((asn, index) => [asn, index]));
  const askedOfValue = Int32Array.from(input.asns?.asns ?? [0], (asn) => askedOfAsn.get(asn) ?? 0);

  const classes: ClassFacts[] = [];
  const classOfKey = new Map<string, number>();
  const intern = (location: Location): number => {
    const { key, facts } = classify(location);
    let number = classOfKey.get(key);
    if (number === undefined) {
      number = classes.push(facts) - 1;
      if (number > MAX_WALK_VALUE) throw new RangeError(`More than ${MAX_WALK_VALUE} client classes`);
      classOfKey.set(key, number);
    }
    return number;
  };
  intern(overlay.locate(NO_PLACE, 0, overlay.entries[0]!)); // class 0: the unknown client
  const unknownClass = 0;

  // Nearly all leaves have no overlay and no asked AS: those are memoised in an array, the others in a map.
  const classOfPlace = new Int32Array(places.length).fill(-1);
  const classOfOther = new Map<number, number>();
  const classOfLeaf = (placeLeaf: number, asnLeaf: number, overlayLeaf: number): number => {
    const entry = overlay.entries[~overlayLeaf]!;
    const place = entry.pin === "teredo" || entry.pin === "mapped" ? 0 : ~placeLeaf;
    const asn = asnLeaf === ~0 || entry.pin !== undefined ? 0 : askedOfValue[~asnLeaf]!;
    if (overlayLeaf === ~0 && asn === 0) {
      let number = classOfPlace[place]!;
      if (number < 0) {
        number = intern(overlay.locate(places[place]!, 0, entry));
        classOfPlace[place] = number;
      }
      return number;
    }
    const memo = (~overlayLeaf * asked.length + asn) * places.length + place;
    let number = classOfOther.get(memo);
    if (number === undefined) {
      number = intern(overlay.locate(places[place]!, asked[asn]!, entry));
      classOfOther.set(memo, number);
    }
    return number;
  };

  const trie = createTriePairs(Math.max(1_024, placeTree.networks));
  const placeChildren = placeTree.children;
  const asnChildren = asnTree.children;
  let productLeaves = 0;
  let clampedBlocks = 0;
  let isIpv6 = false;
  let clampBits: number = CLAMP_BITS.v4;
  let ipv4Root = ~unknownClass;

  // Votes of one clamped block, by class: few, so a linear search is the fastest.
  const votedClasses: number[] = [];
  const votes: number[] = [];
  const vote = (place: number, asn: number, over: number, weight: number): void => {
    if (place < 0 && asn < 0 && over < 0) {
      productLeaves++;
      const number = classOfLeaf(place, asn, over);
      const at = votedClasses.indexOf(number);
      if (at >= 0) votes[at]! += weight;
      else {
        votedClasses.push(number);
        votes.push(weight);
      }
      return;
    }
    const half = weight / 2;
    for (let bit = 0; bit < 2; bit++) {
      vote(
        place < 0 ? place : placeChildren[place + bit]!,
        asn < 0 ? asn : asnChildren[asn + bit]!,
        overlay.trie.child(over, bit),
        half,
      );
    }
  };
  const decideBlock = (place: number, asn: number, over: number): number => {
    votedClasses.length = 0;
    votes.length = 0;
    vote(place, asn, over, 1);
    if (votedClasses.length > 1) clampedBlocks++;
    let winner = -1;
    for (let at = 0; at < votes.length; at++) {
      if (votedClasses[at] === unknownClass) continue;
      if (winner < 0 || votes[at]! > votes[winner]!) winner = at;
    }
    return winner < 0 ? unknownClass : votedClasses[winner]!;
  };

  const build = (depth: number, place: number, asn: number, over: number): number => {
    if (isIpv6 && over < 0) {
      const { pin } = overlay.entries[~over]!;
      // Where IPv4 is all one class there is nothing to continue to, and the leaf may fold with its neighbours.
      if (pin === "6to4") return ipv4Root < 0 ? ipv4Root : LEAF_6TO4;
      if (pin === "mapped") {
        const number = classOfLeaf(~0, ~0, over);
        return ipv4Root === ~number ? ipv4Root : leafMapped(number);
      }
    }
    if (place < 0 && asn < 0 && over < 0) {
      productLeaves++;
      return ~classOfLeaf(place, asn, over);
    }
    if (depth === clampBits) return ~decideBlock(place, asn, over);
    const zero = build(
      depth + 1,
      place < 0 ? place : placeChildren[place]!,
      asn < 0 ? asn : asnChildren[asn]!,
      overlay.trie.child(over, 0),
    );
    const one = build(
      depth + 1,
      place < 0 ? place : placeChildren[place + 1]!,
      asn < 0 ? asn : asnChildren[asn + 1]!,
      overlay.trie.child(over, 1),
    );
    return trie.pair(zero, one);
  };
  ipv4Root = build(0, placeTree.ipv4Root, asnTree.ipv4Root, overlay.ipv4Root);
  isIpv6 = true;
  clampBits = CLAMP_BITS.v6;
  const ipv6Root = build(0, placeTree.ipv6Root, asnTree.ipv6Root, overlay.ipv6Root);

  const nodes = layOutTrie(trie, ipv4Root, ipv6Root);
  const leaves = countLeaves(trie, ipv4Root) + countLeaves(trie, ipv6Root);
  return {
    map: {
      mapId: spec.mapId,
      generation: input.generation,
      nodes,
      classes,
      info: {
        leaves,
        mergedRatio: productLeaves === 0 ? 0 : Math.max(0, 1 - leaves / productLeaves),
        octets: nodes.byteLength,
        database: input.places?.file ?? "",
        databaseBuiltAtMs: input.places?.builtAtMs ?? 0,
      },
    },
    report: { clampedBlocks, productLeaves, ignored: overlay.ignored },
  };
}
