/**
 * An explanation: why a client gets what it gets, filter by filter, in the words that people use.
 *
 * Owns:    the shape of an explanation and its sentences. The facts come from the run of the chain that made the
 *          answer: nothing is decided here.
 * @module
 */
import { formatIp, maskIp } from "#base/ip.ts";
import { type ClientMap, rttMicrosOf } from "#state/client-map.ts";
import type { BoundService, Candidates } from "#steer/candidate.ts";
import type { ChainStep } from "#steer/chain.ts";
import type { Decision } from "#steer/decide.ts";
import type { World } from "#steer/filter.ts";
import { ROLL, type Rolls } from "#steer/rolls.ts";

export type Explanation = {
  readonly service: string;
  readonly type: "A" | "AAAA";
  readonly atMs: number;
  readonly status: "answer" | "nodata" | "servfail";
  /** The outcome in one sentence. */
  readonly says: string;
  readonly client: ExplainedClient;
  /** Each region of each service that was asked, in order. */
  readonly regions: readonly ExplainedRegion[];
  readonly steps: readonly ExplainedStep[];
  readonly ttl: { readonly seconds: number; readonly says: string };
  readonly scope: { readonly bits: number; readonly says: string };
  /** Time slot of the selection hash; null where no roll decided anything, or time does not enter. */
  readonly slot: number | null;
  /** The client's rolls, 0 to 4,095, and which of them decided something. */
  readonly rolls: Rolls & { readonly used: readonly string[] };
  readonly isFailOpen: boolean;
  /** Address texts, in the order of the answer. */
  readonly addresses: readonly string[];
  /** The records as they are served, TTL left zero. */
  readonly records: Uint8Array;
};

export type ExplainedClient = {
  readonly address: string;
  /** Whether the query's client subnet option was used, or the address of the one who asked. */
  readonly evidence: "subnet option" | "source address";
  readonly isKnown: boolean;
  /** The class's label, such as `like EU/DE`. */
  readonly label: string;
  /** Leaf of the client map that matched; null without a map. */
  readonly network: string | null;
  readonly class: number | null;
  readonly mapGeneration: number | null;
  readonly database: string | null;
  readonly databaseBuiltAtMs: number | null;
};

export type ExplainedRegion = {
  readonly service: string;
  readonly id: string;
  readonly says: string;
  readonly weight: number;
  readonly priority: number;
  readonly distanceKm: number | null;
  readonly measuredRttMs: number | null;
  readonly probeRttMs: number | null;
  readonly excessRttMs: number;
  readonly loadPercent: number;
  /** Unix second of the earliest announced change; null: none is announced. */
  readonly flipAtSeconds: number | null;
  /** Whether that change could change this answer. */
  readonly isAwaited: boolean;
};

export type ExplainedStep = {
  readonly service: string;
  readonly filter: string;
  readonly before: readonly string[];
  readonly after: readonly string[];
  /** One reason per region that was dropped or moved, and what the empty rule did. */
  readonly says: string;
};

/** One service that was asked: the first, or a fallback behind it. */
export type ExplainedHop = {
  readonly service: BoundService;
  readonly world: World;
  readonly decision: Decision;
  readonly steps: readonly ChainStep[];
  readonly map: ClientMap | undefined;
  readonly classNumber: number;
  readonly depthBits: number;
  /** The client's prefix was hashed, not the resolver's address. */
  readonly isPrefixKey: boolean;
  /** Undefined where time does not enter. */
  readonly slot: number | undefined;
  readonly rolls: Rolls;
  readonly flips: Float64Array;
};

/** The parts of a served answer that are explained. */
type Answer = {
  readonly status: number;
  readonly records: Uint8Array;
  readonly count: number;
  readonly stride: number;
  readonly ttlSeconds: number;
  readonly scopeBits: number;
  readonly isFailOpen: boolean;
};
type Client = {
  readonly address: Uint8Array;
  readonly isIpv6: boolean;
  readonly hasEcs: boolean;
  readonly ecsBits: number;
};

const STATUS = ["answer", "nodata", "servfail"] as const;

/** @param hops at least one; the last one gave the answer */
export function explainDecisions(
  hops: readonly ExplainedHop[],
  answer: Answer,
  flipAtSeconds: number,
  qtype: 1 | 28,
  client: Client,
  nowMs: number,
): Explanation {
  const first = hops[0]!;
  const last = hops.at(-1)!;
  const asked = hops.reduce((set, { decision }) => set | decision.asked, 0);
  const used = Object.entries(ROLL)
    .filter(([, bit]) => (asked & bit) !== 0)
    .map(([name]) => name);
  const isTimed = (asked & (ROLL.main | ROLL.second | ROLL.spread)) !== 0;
  const status = STATUS[answer.status]!;
  return {
    service: first.service.spec.name,
    type: qtype === 1 ? "A" : "AAAA",
    atMs: nowMs,
    status,
    says: sentence(hops, status, answer.isFailOpen),
    client: explainClient(first, client),
    regions: hops.flatMap(explainRegions),
    steps: hops.flatMap(explainSteps),
    ttl: { seconds: answer.ttlSeconds, says: ttlSays(first, answer, status, flipAtSeconds, nowMs) },
    scope: { bits: answer.scopeBits, says: scopeSays(hops, client, status) },
    slot: isTimed ? (last.slot ?? null) : null,
    rolls: { ...last.rolls, used },
    isFailOpen: answer.isFailOpen,
    addresses: Array.from({ length: answer.count }, (_, index) =>
      formatIp(answer.records.slice(index * answer.stride + 12, (index + 1) * answer.stride)),
    ),
    records: answer.records,
  };
}

const idsOf = (candidates: Candidates): string[] => candidates.map(({ region }) => region.id);

function sentence(hops: readonly ExplainedHop[], status: Explanation["status"], isFailOpen: boolean): string {
  const { service, decision } = hops.at(-1)!;
  const via = hops.length > 1 ? ` by fallback service ${service.spec.name}` : "";
  if (status === "servfail") return "No region may be given to this client: SERVFAIL, so that resolvers try again";
  if (status === "nodata") return `Nothing of this type${via}: NODATA`;
  const makeshift = isFailOpen ? ", although it is not up, because nothing better is left" : "";
  return `${idsOf(decision.kept).join(", ")}${via}${makeshift}`;
}

function explainClient({ map, world, classNumber, depthBits }: ExplainedHop, client: Client): ExplainedClient {
  const address = client.address.slice(0, client.isIpv6 ? 16 : 4);
  return {
    address: formatIp(address),
    evidence: client.hasEcs && client.ecsBits > 0 ? "subnet option" : "source address",
    isKnown: world.facts.isKnown,
    label: world.facts.label,
    network: map ? `${formatIp(maskIp(address, depthBits))}/${depthBits}` : null,
    class: map ? classNumber : null,
    mapGeneration: map?.generation ?? null,
    database: map?.info.database ?? null,
    databaseBuiltAtMs: map?.info.databaseBuiltAtMs ?? null,
  };
}

const explainRegions = ({ service, world, decision, flips }: ExplainedHop): ExplainedRegion[] =>
  service.candidates.map(({ index, region, weight, priority, factsIndex }) => {
    const state = world.states[index]!;
    const km = world.facts.distanceKm[factsIndex] ?? -1;
    const micros = rttMicrosOf(world.measuredMicros?.[index] ?? 0);
    return {
      service: service.spec.name,
      id: region.id,
      says: state.says,
      weight,
      priority,
      distanceKm: km < 0 ? null : km,
      measuredRttMs: micros === 0 ? null : micros / 1_000,
      probeRttMs: state.probeRttMs === 0 ? null : state.probeRttMs,
      excessRttMs: state.excessRttMs,
      loadPercent: state.loadPermille / 10,
      flipAtSeconds: flips[index] === 0 ? null : flips[index]!,
      isAwaited: decision.dependsOn.includes(index),
    };
  });

const explainSteps = ({ service, steps }: ExplainedHop): ExplainedStep[] =>
  steps.map(({ filter, before, after, notes, rule }) => ({
    service: service.spec.name,
    filter,
    before: idsOf(before),
    after: idsOf(after),
    says: [...notes.map(({ candidate, reason }) => `${candidate.region.id}: ${reason}`), rule]
      .filter((part) => part !== "")
      .join("; "),
  }));

function ttlSays(
  { service: { spec } }: ExplainedHop,
  answer: Answer,
  status: Explanation["status"],
  flipAtSeconds: number,
  nowMs: number,
): string {
  const { ttlMinSeconds, ttlMaxSeconds } = spec;
  if (status !== "answer") return `ttl.min of ${ttlMinSeconds} s: there is no answer, and there may be one soon`;
  if (answer.isFailOpen) return `ttl.min of ${ttlMinSeconds} s: what is down is in the answer`;
  if (flipAtSeconds === 0) {
    return `ttl.max of ${ttlMaxSeconds} s, less up to a tenth: no change is announced that this answer depends on`;
  }
  const left = Math.max(0, Math.floor(flipAtSeconds - nowMs / 1_000));
  return `${left} s to the next possible change, within ${ttlMinSeconds} s and ${ttlMaxSeconds} s, less up to a tenth`;
}

function scopeSays(hops: readonly ExplainedHop[], client: Client, status: Explanation["status"]): string {
  if (!client.hasEcs || client.ecsBits === 0) return "the query named no client subnet";
  if (status !== "answer") return "negative answers are cached for everybody";
  const hashed = hops.some(({ decision, isPrefixKey }) => decision.asked !== 0 && isPrefixKey);
  if (hashed)
    return "the client's network was hashed: the hash prefix, or the leaf of the client map where it is deeper";
  const isResolverHashed = hops.some(({ decision, isPrefixKey }) => decision.asked !== 0 && !isPrefixKey);
  if (isResolverHashed) return "the resolver was hashed, not its client: only the client map tells clients apart";
  if (hops.every(({ depthBits }) => depthBits === 0)) return "all clients get the same answer";
  return "depth of the leaf of the client map";
}
