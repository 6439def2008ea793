/**
 * Steering for one worker: which addresses a client gets for a service, compiled once and then looked up.
 *
 * Owns:    the memo. Per service, class of clients and roll it keeps the encoded answer; a query walks the client map,
 *          hashes the client, and finds bytes. What is missing is made by `decide`, the very function that explains.
 *          The memo of a service goes when the fingerprint of its rows in the health table changes.
 * Reads:   the health table (shared, written elsewhere) and the client maps, both without locks.
 * Never:   allocates where the memo has the answer; reads a clock; draws a random number.
 * @module
 */
import { emptyAnswer, STEERED, type SteerClient, type SteeredAnswer, type Steering } from "#dns/answer/steering.ts";
import { classOf, depthOf, walk } from "#geo/walk.ts";
import type { ClassFacts } from "#state/class-facts.ts";
import type { ClientMap, RttMap } from "#state/client-map.ts";
import { DNS_COUNTER } from "#state/counters.ts";
import { healthEpoch } from "#state/health-table.ts";
import type { RegionSpec, ServiceSpec } from "#state/snapshot.ts";
import type { SpreadMoves } from "#state/spread.ts";
import { numberingOf } from "#state/steering-hits.ts";
import { type BoundService, bindService } from "#steer/candidate.ts";
import type { ChainStep } from "#steer/chain.ts";
import { unknownFacts } from "#steer/classify.ts";
import { type Decision, decide } from "#steer/decide.ts";
import { type ExplainedHop, type Explanation, explainDecisions } from "#steer/explain.ts";
import type { World } from "#steer/filter.ts";
import { type Intervals, mayRoll, rampIntervals, secondIntervals, spreadIntervals, WHOLE } from "#steer/intervals.ts";
import { mapRegionIds } from "#steer/map-spec.ts";
import { fingerprintLength, type RegionState, readFingerprint, statesFrom } from "#steer/region-state.ts";
import {
  clientKey,
  clientPlaceOf,
  jitterOf,
  prefixSlotMs,
  ROLL,
  ROLL_VALUES,
  type Rolls,
  resolverSlotMs,
  roll,
  slotOf,
  type Turn,
  turnPerSlot,
} from "#steer/rolls.ts";
import { createSpreadReader, lostRegions } from "#steer/spread/moves.ts";
import { earliestFlip, ttlSeconds } from "#steer/ttl.ts";
import { type AddressVariant, encodeVariant } from "#steer/variant.ts";

const TYPE_A = 1;
const TYPE_AAAA = 28;
/** Services that may stand behind one another as fallbacks; `config/` refuses loops, this stops one all the same. */
const MAX_HOPS = 4;
/** Compiled answers of one worker, in octets; when they grow beyond, all of them go, and come back as they are asked. */
const MEMO_OCTETS = 64 * 1_048_576;
const CLASS_MEMO_OCTETS = 200;
const VARIANT_OCTETS = 800;

export type SteeringOptions = {
  readonly services: readonly ServiceSpec[];
  /** `Snapshot.regions`. */
  readonly regions: readonly RegionSpec[];
  readonly healthTable: Uint32Array;
  /** Client maps by `mapId`. A service whose map is missing treats every client as unknown. */
  readonly maps: ReadonlyMap<string, ClientMap>;
  /** Measured RTTs, for `latency`. */
  readonly rttMap?: RttMap | undefined;
  readonly hashPrefix: { readonly v4: number; readonly v6: number };
  /** The door of the spread plan; without one nobody is moved for capacity. */
  readonly spread?: Int32Array | undefined;
  /** Slots of `DNS_COUNTERS`: steered, fail_open and variants_compiled are counted here. */
  readonly counters: Float64Array;
  readonly memoOctets?: number;
};

export type SteeringEngine = Steering & {
  /** Why `resolve` gives this client what it gives, with the same bytes. Undefined: no such service. Allocates. */
  explain(serviceName: string, qtype: 1 | 28, client: SteerClient, nowMs: number): Explanation | undefined;
};

/** A compiled decision. */
type Variant = {
  readonly outcome: Decision["outcome"];
  /** Number of the service that answers instead; -1: none. */
  readonly fallback: number;
  readonly a: AddressVariant;
  readonly aaaa: AddressVariant;
  readonly isFailOpen: boolean;
  readonly dependsOn: readonly number[];
};

type ClassMemo = {
  /** Set of `ROLL` bits that index `tables`. */
  readonly rolls: number;
  /** The choice depends on the client's hash, so that the scope is the hash prefix (ruling 3). */
  readonly isHashed: boolean;
  /** Of the class's rows in the spread plan. */
  readonly spread: Intervals;
  /** By interval of `ramp`, `second` and `spread`, then by `main`: number of a variant, 0 where not compiled yet. */
  readonly tables: (Uint16Array | undefined)[];
};

type Service = {
  readonly number: number;
  readonly bound: BoundService;
  readonly map: ClientMap | undefined;
  readonly unknown: ClassFacts;
  /** Column of each candidate in the RTT map, or -1. */
  readonly rttColumns: readonly number[];
  readonly rtt: RttMap | undefined;
  readonly isSticky: boolean;
  readonly hasA: boolean;
  readonly hasAaaa: boolean;
  readonly prefixSlotMs: number;
  readonly resolverSlotMs: number;
  readonly prefixTurn: Turn;
  readonly resolverTurn: Turn;
  readonly flips: Float64Array;
  readonly latest: Uint32Array;
  readonly fingerprint: Uint32Array;
  /** Epoch of the health table at the last look; -1 before the first. */
  epoch: number;
  /** Generation of the spread plan at the last look, and the version of this service's part in it; 0: no plan. */
  generation: number;
  planVersion: number;
  /** Regions that the plan counts on and that are not up. */
  lost: readonly number[];
  /** What the plan says, by class. */
  moves: (SpreadMoves | undefined)[];
  states: readonly RegionState[];
  ramp: Intervals;
  second: Intervals;
  /** By class, for clients without measured RTTs. */
  memos: (ClassMemo | undefined)[];
  /** By row of measured RTTs, then by class. */
  memosByRow: Map<number, Map<number, ClassMemo>>;
  /** Variant 0 is never used: 0 in a table means "not compiled". */
  variants: Variant[];
  variantNumbers: Map<string, number>;
};

export function createSteering(options: SteeringOptions): SteeringEngine {
  const { healthTable, hashPrefix, counters, memoOctets = MEMO_OCTETS } = options;
  const services = options.services.map((spec, number) => createService(spec, number, options));
  const plan = createSpreadReader(options.spread, numberingOf({ ...options, maps: [...options.maps.values()] }));
  const numbers = new Map(services.map(({ bound }, number) => [bound.spec.name, number]));
  let octets = 0;

  // Where `place` leaves what it found: one query at a time, and nothing is allocated.
  const rolls: Rolls = { main: 0, second: 0, ramp: 0, spread: 0 };
  let clientPlace = 0;
  let classNumber = 0;
  let row = 0;
  let depthBits = 0;
  let isPrefixKey = true;
  let slot = 0;
  let hash = 0;
  let isMemoHashed = false;
  /** The decision that `createMemo` has just made for the same client, so that `compile` need not make it again. */
  let firstDecision: Decision | undefined;

  /** Finds the client's class, its row of measured RTTs, and its rolls. */
  function place(service: Service, client: SteerClient, nowMs: number): void {
    classNumber = 0;
    depthBits = 0;
    row = 0;
    if (service.map !== undefined) {
      const walked = walk(service.map.nodes, client.address, client.isIpv6);
      classNumber = classOf(walked);
      depthBits = depthOf(walked);
    }
    if (service.rtt !== undefined) {
      const walked = walk(service.rtt.nodes, client.address, client.isIpv6);
      row = classOf(walked);
      if (depthOf(walked) > depthBits) depthBits = depthOf(walked);
    }
    const { weightedBy, hash: serviceHash } = service.bound.spec;
    isPrefixKey = weightedBy === "prefix" || (weightedBy === "auto" && client.hasEcs && client.ecsBits > 0);
    const key = isPrefixKey
      ? clientKey(client.address, client.isIpv6, client.isIpv6 ? hashPrefix.v6 : hashPrefix.v4)
      : clientKey(client.source, client.isSourceIpv6, client.isSourceIpv6 ? 128 : 32);
    slot = slotOf(nowMs, key, isPrefixKey ? service.prefixSlotMs : service.resolverSlotMs);
    // As int32: a larger number would be boxed where it is kept, and that is an allocation per query.
    clientPlace = clientPlaceOf(serviceHash, key) | 0;
    hash = jitterOf(clientPlace, service.isSticky ? 0 : slot) | 0;
  }

  /** The rolls of the client that `place` found: only where something asks for them. */
  function takeRolls(service: Service): void {
    const turn = isPrefixKey ? service.prefixTurn : service.resolverTurn;
    roll(clientPlace, service.isSticky ? 0 : slot, turn, rolls);
  }

  /** What the ECS option of the answer says, for the service that `place` was last called for. */
  function scopeBits(client: SteerClient, isHashed: boolean): number {
    if (!client.hasEcs || client.ecsBits === 0) return 0;
    const hashBits = isHashed && isPrefixKey ? (client.isIpv6 ? hashPrefix.v6 : hashPrefix.v4) : 0;
    return depthBits > hashBits ? depthBits : hashBits;
  }

  /** Looks at the health table again, and forgets what was compiled when something that counts has changed. */
  function refresh(service: Service, epoch: number, generation: number): void {
    const { bound, latest, fingerprint, flips } = service;
    readFingerprint(bound, healthTable, latest, flips);
    const planVersion = plan.version(service.number);
    let isSame = service.epoch !== -1 && planVersion === service.planVersion;
    for (let at = 0; isSame && at < latest.length; at++) isSame = latest[at] === fingerprint[at];
    service.epoch = epoch;
    service.generation = generation;
    if (isSame) return;
    fingerprint.set(latest);
    service.planVersion = planVersion;
    service.states = statesFrom(bound, fingerprint);
    service.lost = planVersion === 0 ? [] : lostRegions(plan.copy(), bound, service.states);
    service.ramp = rampIntervals(bound, service.states);
    service.second = secondIntervals(bound, service.states);
    forget(service);
  }

  function movesOf(service: Service): SpreadMoves | undefined {
    if (service.planVersion === 0) return undefined;
    const found = service.moves[classNumber] ?? plan.moves(service.number, classNumber, service.lost);
    service.moves[classNumber] = found;
    return found;
  }

  function forget(service: Service): void {
    service.memos = [];
    service.moves = [];
    service.memosByRow = new Map();
    service.variants = [NOTHING];
    service.variantNumbers = new Map();
  }

  function worldOf(service: Service): World {
    const facts = service.map?.classes[classNumber] ?? service.unknown;
    const { rtt, rttColumns, states } = service;
    const moves = movesOf(service);
    if (rtt === undefined || row === 0) return { facts, states, measuredMicros: undefined, spread: moves };
    const start = row * rtt.regionIds.length;
    return {
      facts,
      states,
      spread: moves,
      measuredMicros: rttColumns.map((column) => (column < 0 ? 0 : rtt.rttMicros[start + column]!)),
    };
  }

  function createMemo(service: Service): ClassMemo {
    takeRolls(service);
    const world = worldOf(service);
    const decision = decide(service.bound, world, rolls);
    const { asked, askedInAll } = decision;
    firstDecision = decision;
    const memo: ClassMemo = {
      rolls: askedInAll === 0 ? 0 : mayRoll(service.bound, world),
      isHashed: asked !== 0,
      spread: spreadIntervals(world.spread),
      tables: [],
    };
    octets += CLASS_MEMO_OCTETS + (memo.spread === WHOLE ? 0 : memo.spread.of.byteLength);
    if (row === 0) {
      service.memos[classNumber] = memo;
    } else {
      const ofRow = service.memosByRow.get(row) ?? new Map<number, ClassMemo>();
      service.memosByRow.set(row, ofRow.set(classNumber, memo));
    }
    return memo;
  }

  /** Makes the answer for the client that `place` found, and keeps it. */
  function compile(service: Service, memo: ClassMemo, table: number, at: number): Variant {
    takeRolls(service);
    const decision = firstDecision ?? decide(service.bound, worldOf(service), rolls);
    firstDecision = undefined;
    const key = `${decision.outcome} ${decision.fallback ?? ""} ${decision.isFailOpen} ${decision.dependsOn} ${decision.kept.map(({ index }) => index)}`;
    let number = service.variantNumbers.get(key);
    if (number === undefined) {
      number = service.variants.length;
      service.variants.push({
        outcome: decision.outcome,
        fallback: decision.fallback === undefined ? -1 : (numbers.get(decision.fallback) ?? -1),
        a: encodeVariant(decision.kept, service.states, TYPE_A),
        aaaa: encodeVariant(decision.kept, service.states, TYPE_AAAA),
        isFailOpen: decision.isFailOpen,
        dependsOn: decision.dependsOn,
      });
      service.variantNumbers.set(key, number);
      octets += VARIANT_OCTETS;
      counters[DNS_COUNTER.variants_compiled]! += 1;
    }
    const variant = service.variants[number]!;
    let cells = memo.tables[table];
    if (cells === undefined) {
      cells = new Uint16Array(memo.rolls & ROLL.main ? ROLL_VALUES : 1);
      memo.tables[table] = cells;
      octets += cells.byteLength;
    }
    cells[at] = number;
    if (octets > memoOctets || number >= 0xffff) {
      for (const each of services) forget(each);
      octets = 0;
    }
    return variant;
  }

  const memoOfRow = (service: Service): ClassMemo | undefined => service.memosByRow.get(row)?.get(classNumber);

  function variantFor(service: Service, client: SteerClient, nowMs: number): Variant {
    place(service, client, nowMs);
    const memo = (row === 0 ? service.memos[classNumber] : memoOfRow(service)) ?? createMemo(service);
    isMemoHashed = memo.isHashed;
    const set = memo.rolls;
    if (set !== 0) takeRolls(service);
    const at = set & ROLL.main ? rolls.main : 0;
    let table = set & ROLL.ramp ? service.ramp.of[rolls.ramp]! : 0;
    if (set & ROLL.second) table = table * service.second.count + service.second.of[rolls.second]!;
    if (set & ROLL.spread) table = table * memo.spread.count + memo.spread.of[rolls.spread]!;
    const cells = memo.tables[table];
    const number = cells === undefined ? 0 : cells[at]!;
    return number === 0 ? compile(service, memo, table, at) : service.variants[number]!;
  }

  // What the services asked so far add up to: the first one, and the fallbacks behind it.
  let flipAtSeconds = 0;
  let scope = 0;
  let isFailOpen = false;
  let jitter = 0;
  let firstClass = 0;

  /** Takes in the decision of the service that `place` was last called for. */
  function add(hop: number, service: Service, client: SteerClient, isHashed: boolean, made: Variant | Decision): void {
    if (hop === 0) {
      flipAtSeconds = 0;
      scope = 0;
      isFailOpen = false;
      jitter = hash;
      firstClass = classNumber;
    }
    const bits = scopeBits(client, isHashed);
    if (bits > scope) scope = bits;
    if (made.isFailOpen) isFailOpen = true;
    if (made.dependsOn.length > 0) {
      const next = earliestFlip(service.flips, made.dependsOn);
      if (next !== 0 && (flipAtSeconds === 0 || next < flipAtSeconds)) flipAtSeconds = next;
    }
  }

  /** Writes the answer for a query to `first`, from the outcome and addresses of the last service asked. */
  function finish(
    first: Service,
    outcome: Decision["outcome"],
    addresses: AddressVariant,
    qtype: number,
    nowMs: number,
    into: SteeredAnswer,
  ): void {
    into.records = addresses.records;
    into.count = addresses.count;
    into.stride = addresses.stride;
    // A type that the service has is never denied because of health: that denial would be cached for everybody.
    const hasType = qtype === TYPE_AAAA ? first.hasAaaa : first.hasA;
    if (addresses.count > 0) into.status = STEERED.answer;
    else into.status = outcome === "nodata" || !hasType ? STEERED.nodata : STEERED.servfail;
    const isMakeshift = isFailOpen || into.status !== STEERED.answer;
    const { ttlMinSeconds, ttlMaxSeconds } = first.bound.spec;
    into.isFailOpen = isFailOpen;
    into.classNumber = firstClass;
    into.region = addresses.region;
    // Resolvers cache a negative answer for everybody (RFC 7871 §7.4), so it may not claim a scope.
    into.scopeBits = into.status === STEERED.answer ? scope : 0;
    into.ttlSeconds = ttlSeconds(ttlMinSeconds, ttlMaxSeconds, flipAtSeconds, isMakeshift, nowMs, jitter);
  }

  return {
    serviceNumber: (name) => numbers.get(name) ?? -1,
    hasType(number, qtype) {
      const service = services[number];
      if (service === undefined) return false;
      return qtype === TYPE_A ? service.hasA : qtype === TYPE_AAAA && service.hasAaaa;
    },
    ttlMaxSeconds: (number) => services[number]!.bound.spec.ttlMaxSeconds,
    ttlMinSeconds: (number) => services[number]!.bound.spec.ttlMinSeconds,

    resolve(number, qtype, client, nowMs, into) {
      const epoch = healthEpoch(healthTable);
      const generation = plan.generation();
      const first = services[number]!;
      let service = first;
      for (let hop = 0; ; hop++) {
        if (service.epoch !== epoch || service.generation !== generation) refresh(service, epoch, generation);
        const variant = variantFor(service, client, nowMs);
        add(hop, service, client, isMemoHashed, variant);
        if (variant.outcome === "fallback" && variant.fallback >= 0 && hop < MAX_HOPS) {
          service = services[variant.fallback]!;
          continue;
        }
        finish(first, variant.outcome, qtype === TYPE_AAAA ? variant.aaaa : variant.a, qtype, nowMs, into);
        counters[DNS_COUNTER.steered]! += 1;
        if (isFailOpen) counters[DNS_COUNTER.fail_open]! += 1;
        return;
      }
    },

    explain(serviceName, qtype, client, nowMs) {
      const first = services[numbers.get(serviceName) ?? -1];
      if (first === undefined) return undefined;
      const epoch = healthEpoch(healthTable);
      const generation = plan.generation();
      const hops: ExplainedHop[] = [];
      let service = first;
      for (let hop = 0; ; hop++) {
        if (service.epoch !== epoch || service.generation !== generation) refresh(service, epoch, generation);
        place(service, client, nowMs);
        takeRolls(service);
        const world = worldOf(service);
        const steps: ChainStep[] = [];
        const decision = decide(service.bound, world, rolls, (step) => steps.push(step));
        add(hop, service, client, decision.asked !== 0, decision);
        hops.push({
          service: service.bound,
          world,
          decision,
          steps,
          map: service.map,
          classNumber,
          depthBits,
          isPrefixKey,
          slot: service.isSticky ? undefined : slot,
          rolls: { ...rolls },
          flips: service.flips.slice(),
        });
        const next = decision.fallback === undefined ? undefined : services[numbers.get(decision.fallback) ?? -1];
        if (decision.outcome === "fallback" && next !== undefined && hop < MAX_HOPS) {
          service = next;
          continue;
        }
        const answer = emptyAnswer();
        const addresses = encodeVariant(decision.kept, service.states, qtype);
        finish(first, decision.outcome, addresses, qtype, nowMs, answer);
        return explainDecisions(hops, answer, flipAtSeconds, qtype, client, nowMs);
      }
    },
  };
}

const NOTHING: Variant = {
  outcome: "servfail",
  fallback: -1,
  a: { records: new Uint8Array(0), count: 0, stride: 0, region: -1 },
  aaaa: { records: new Uint8Array(0), count: 0, stride: 0, region: -1 },
  isFailOpen: false,
  dependsOn: [],
};

function createService(spec: ServiceSpec, number: number, options: SteeringOptions): Service {
  const regionIds = spec.mapId === undefined ? [] : mapRegionIds(spec, options.regions);
  const bound = bindService(spec, options.regions, regionIds);
  const length = fingerprintLength(bound);
  const { rttMap } = options;
  const prefixMs = prefixSlotMs(spec.ttlMaxSeconds);
  const resolverMs = resolverSlotMs(spec.ttlMinSeconds);
  return {
    number,
    bound,
    map: spec.mapId === undefined || bound.isConstant ? undefined : options.maps.get(spec.mapId),
    unknown: unknownFacts(regionIds.length, spec.chain.filter(({ name }) => name === "geofence").length),
    rtt: bound.usesLatency && !bound.isConstant ? rttMap : undefined,
    rttColumns: bound.candidates.map(({ region }) => rttMap?.regionIds.indexOf(region.id) ?? -1),
    isSticky: spec.chain.some(({ name }) => name === "sticky"),
    hasA: bound.candidates.some(({ v4 }) => v4.length > 0),
    hasAaaa: bound.candidates.some(({ v6 }) => v6.length > 0),
    prefixSlotMs: prefixMs,
    resolverSlotMs: resolverMs,
    prefixTurn: turnPerSlot(prefixMs, spec.ttlMaxSeconds),
    resolverTurn: turnPerSlot(resolverMs, spec.ttlMaxSeconds),
    flips: new Float64Array(bound.candidates.length),
    latest: new Uint32Array(length),
    fingerprint: new Uint32Array(length),
    epoch: -1,
    generation: 0,
    planVersion: 0,
    lost: [],
    moves: [],
    states: [],
    ramp: WHOLE,
    second: WHOLE,
    memos: [],
    memosByRow: new Map(),
    variants: [],
    variantNumbers: new Map(),
  };
}
