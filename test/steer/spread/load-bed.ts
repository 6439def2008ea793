/**
 * A world of resolvers with caches in front of regions with capacities: the real steering, load control and planner, on a
 * clock that is moved by hand. One second a step.
 */
import { createManualClock } from "#base/clock.ts";
import { parseIp } from "#base/ip.ts";
import { createSeededRng, type Rng } from "#base/rng.ts";
import { createSteering } from "#dns/answer/steered.ts";
import { emptyAnswer, type SteerClient } from "#dns/answer/steering.ts";
import { createLoadControl, type LoadControl } from "#health/load-control.ts";
import { createCounterSlots, DNS_COUNTERS } from "#state/counters.ts";
import type { RhumbEvent } from "#state/events.ts";
import { createHealthTable, VERDICT } from "#state/health-table.ts";
import type { FilterSpec, RegionSpec } from "#state/snapshot.ts";
import { createSpreadDoor, publishSpread } from "#state/spread.ts";
import { createHitWriter, createSteeringHits, numberingOf, readClasses, readTotals } from "#state/steering-hits.ts";
import type { ClassAnswers } from "#steer/spread/demand.ts";
import { createSpreadPlanner, type SpreadPlanner } from "#steer/spread/planner.ts";
import { mapFor } from "../maps.ts";
import { FIRST, HEALTHY, NEAREST, publish, region, service, writeTarget } from "../world.ts";

export const CAPACITY_RPS = 1_000;
const PLACES: readonly (readonly [id: string, latitude: number, longitude: number])[] = [
  ["us-east", 39, -77],
  ["us-west", 45, -122],
  ["eu-west", 53, -6],
  ["eu-mid", 50, 8],
  ["ap-south", 19, 73],
];
/** Clients live around these, so many of a hundred. */
const CITIES: readonly (readonly [latitude: number, longitude: number, weight: number])[] = [
  [40.7, -74, 9],
  [25.8, -80.2, 5],
  [41.9, -87.6, 6],
  [34, -118.2, 8],
  [47.6, -122.3, 4],
  [19.4, -99.1, 4],
  [-23.5, -46.6, 4],
  [51.5, -0.1, 9],
  [40.4, -3.7, 5],
  [53.3, -6.3, 3],
  [48.9, 2.3, 6],
  [50.1, 8.7, 7],
  [52.5, 13.4, 5],
  [41.9, 12.5, 5],
  [59.3, 18.1, 3],
  [19.1, 72.9, 8],
  [28.6, 77.2, 5],
  [1.3, 103.8, 4],
];

type Resolver = {
  readonly client: SteerClient;
  readonly city: number;
  readonly rps: number;
  /** It keeps answers this many times longer than it may. */
  readonly stretch: number;
  expiresAtSecond: number;
  region: number;
};

export type LoadWorldOptions = {
  readonly seed: number;
  readonly ttlSeconds: number;
  readonly spread: "capacity" | "none";
  /** Of the whole capacity of the world. */
  readonly utilisation: number;
  readonly operators?: number;
  /** Capacity by region, as a multiple of `CAPACITY_RPS`. */
  readonly sizes?: readonly number[];
  /** Breaks the thing on purpose: what has been ordered and has not come yet is left out. */
  readonly isBlind?: boolean;
};

export type LoadWorld = {
  readonly regions: readonly RegionSpec[];
  readonly control: LoadControl;
  readonly planner: SpreadPlanner;
  readonly events: readonly RhumbEvent[];
  /** Load by region in shares of its capacity, one row a second. */
  readonly history: readonly (readonly number[])[];
  /** Multiplies the demand of cities, by number; the default is 1. */
  setDemand(of: (city: number, second: number) => number): void;
  setSilent(region: number, isSilent: boolean): void;
  /** From now on nobody is served there; health finds out after some seconds. */
  kill(region: number, noticedAfterSeconds: number): void;
  run(seconds: number): void;
  citiesOf(region: number): readonly number[];
};

export function createLoadWorld(options: LoadWorldOptions): LoadWorld {
  const { ttlSeconds, spread } = options;
  const rng = createSeededRng(options.seed);
  const clock = createManualClock();
  const sizes = options.sizes ?? PLACES.map(() => 1);
  const regions = PLACES.map(([id, latitude, longitude], index) =>
    region(id, index * 3, { latitude, longitude, capacityRps: CAPACITY_RPS * sizes[index]! }),
  );
  const shed: FilterSpec = { name: "shed", lowPermille: 700, highPermille: 900, spread, onEmpty: "undo" };
  const spec = service([HEALTHY, shed, NEAREST, FIRST], {
    all: regions,
    ttlMinSeconds: Math.max(1, Math.floor(ttlSeconds / 2)),
    ttlMaxSeconds: ttlSeconds,
  });
  const networks = Object.fromEntries(
    CITIES.map(([latitude, longitude], city) => [
      `10.${city}.0.0/16`,
      { latitude, longitude, continent: "", country: "" },
    ]),
  );
  const maps = [mapFor(spec, regions, networks)];
  const world = { services: [spec], regions, maps };
  const table = createHealthTable(32);
  const isDown = regions.map(() => false);
  const loads = regions.map(() => 0);
  const writeRegion = (index: number): void => {
    const verdict = isDown[index] ? VERDICT.down : VERDICT.up;
    writeTarget(table, regions[index]!.target, { verdict, loadPermille: loads[index]! });
    for (const row of regions[index]!.addressTargets) writeTarget(table, row, { verdict });
    publish(table);
  };
  for (const index of regions.keys()) writeRegion(index);

  const door = createSpreadDoor();
  const steering = createSteering({
    services: [spec],
    regions,
    healthTable: table,
    maps: new Map(maps.map((map) => [map.mapId, map])),
    hashPrefix: { v4: 24, v6: 48 },
    counters: createCounterSlots(DNS_COUNTERS.length),
    spread: door,
  });
  const hits = createSteeringHits();
  const count = createHitWriter(hits)(world, clock.nowMs());
  const events: RhumbEvent[] = [];
  const control = createLoadControl({
    clock,
    emit: (event) => events.push(event),
    setLoad(target, permille) {
      const index = regions.findIndex((each) => each.target === target);
      loads[index] = permille;
      writeRegion(index);
    },
    answers() {
      const totals = new Map<string, number>();
      // The same shares for ever: nothing is ever under way.
      if (options.isBlind) return new Map(regions.map(({ id }) => [id, 100 * history.length]));
      readTotals(hits, (_service, hash, answers) => {
        const found = regions.find((each) => each.hash === hash);
        if (found) totals.set(found.id, answers);
      });
      return totals;
    },
  });
  control.apply(regions, [spec]);
  const planner = createSpreadPlanner();

  const resolvers = createResolvers(rng, options, sizes);
  const answer = emptyAnswer();
  const history: number[][] = [];
  const recent: number[][] = [];
  const isDead = regions.map(() => false);
  const isSilent = regions.map(() => false);
  let noticeAtSecond = Number.POSITIVE_INFINITY;
  let demandOf = (_city: number, _second: number): number => 1;
  let counted = new Map<string, number>();

  function plan(seconds: number): void {
    const answers: ClassAnswers[] = [];
    const now = new Map<string, number>();
    readClasses(hits, numberingOf(world), (number, classNumber, regionNumber, total) => {
      const key = `${number} ${classNumber} ${regionNumber}`;
      now.set(key, total);
      if (seconds > 0)
        answers.push({
          service: number,
          class: classNumber,
          region: regionNumber,
          answers: total - (counted.get(key) ?? 0),
        });
    });
    if (seconds > 0) counted = now;
    const view = control.view();
    publishSpread(
      door,
      planner.step({
        world,
        healthTable: table,
        answers,
        loads: view.regions.map(({ measuredRps, capacityRps }) => ({
          offeredRps: measuredRps ?? undefined,
          capacityRps: capacityRps ?? undefined,
        })),
        seconds,
        ttlSeconds: view.drain.ttlSeconds,
        stretching: view.drain.stretching,
      }),
    );
  }

  function second(): void {
    const now = history.length;
    if (now === noticeAtSecond) {
      for (const [index, dead] of isDead.entries()) if (dead) isDown[index] = true;
      for (const index of regions.keys()) writeRegion(index);
      if (spread === "capacity") plan(0);
    }
    const load = regions.map(() => 0);
    for (const resolver of resolvers) {
      if (now >= resolver.expiresAtSecond) {
        steering.resolve(0, 1, resolver.client, clock.nowMs(), answer);
        count(0, answer.classNumber, answer.region);
        resolver.region = answer.region;
        resolver.expiresAtSecond = now + Math.max(1, Math.round(answer.ttlSeconds * resolver.stretch));
      }
      if (!isDead[resolver.region]) load[resolver.region]! += resolver.rps * demandOf(resolver.city, now);
    }
    recent.push(load);
    if (recent.length > 5) recent.shift();
    history.push(load.map((rps, index) => rps / regions[index]!.capacityRps!));
    for (const [index, { id }] of regions.entries()) {
      if (isSilent[index] || isDead[index]) continue;
      const mean = recent.reduce((sum, each) => sum + each[index]!, 0) / recent.length;
      const admittedRps = Math.max(0, mean * (1 + 0.02 * (rng() - 0.5)));
      control.takeReport({
        region: id,
        node: `${id}-1`,
        admittedRps,
        queued: 0,
        shedRps: 0,
        inFlight: 0,
        capacityRps: null,
        healthyBackends: 2,
        backends: 2,
        isServing: true,
        says: "",
        listeners: [],
      });
    }
    clock.advance(1_000);
    if (spread === "capacity" && now % 5 === 4) plan(5);
  }

  return {
    regions,
    control,
    planner,
    events,
    history,
    setDemand(of) {
      demandOf = of;
    },
    setSilent(index, silent) {
      isSilent[index] = silent;
    },
    kill(index, noticedAfterSeconds) {
      isDead[index] = true;
      noticeAtSecond = history.length + noticedAfterSeconds;
    },
    run(seconds) {
      for (let step = 0; step < seconds; step++) second();
    },
    citiesOf: (index) => CITIES.map((_, city) => city).filter((city) => nearestRegion(city) === index),
  };
}

const nearestRegion = (city: number): number => {
  const [latitude, longitude] = CITIES[city]!;
  const far = PLACES.map(([, lat, lon]) =>
    Math.hypot(lat - latitude, (lon - longitude) * Math.cos((latitude * Math.PI) / 180)),
  );
  return far.indexOf(Math.min(...far));
};

function drawCity(at: number): number {
  let left = at;
  return CITIES.findIndex(([, , part]) => {
    left -= part;
    return left < 0;
  });
}

/** No cache alone has more of all clients than this: who runs large resolvers runs many, each with an address and a cache. */
const LARGEST_CACHE = 0.002;

/** Operators of resolvers have Zipf load (exponent 0.9): the largest of 600 some 8 % of all. Of their caches 9 % stretch TTLs. */
function createResolvers(
  rng: Rng,
  { utilisation, ttlSeconds, operators = 600 }: LoadWorldOptions,
  sizes: readonly number[],
): Resolver[] {
  const weights = Array.from({ length: operators }, (_, index) => 1 / (index + 1) ** 0.9);
  const sum = weights.reduce((a, b) => a + b);
  const total = utilisation * CAPACITY_RPS * sizes.reduce((a, b) => a + b);
  const all = CITIES.reduce((a, [, , weight]) => a + weight, 0);
  return weights.flatMap((weight, operator) => {
    const caches = Math.ceil(weight / sum / LARGEST_CACHE);
    return Array.from({ length: caches }, () => {
      // The first few go to each city in turn, so that none is without.
      const drawn = drawCity(rng() * all);
      const city = operator < CITIES.length && caches === 1 ? operator : drawn;
      const address = new Uint8Array(16);
      address.set(parseIp(`10.${city}.${Math.floor(rng() * 256)}.${1 + Math.floor(rng() * 254)}`)!);
      return {
        client: { address, isIpv6: false, hasEcs: false, ecsBits: 0, source: address, isSourceIpv6: false },
        city,
        rps: (total * weight) / sum / caches,
        stretch: rng() < 0.09 ? 2 + 4 * rng() : 1,
        expiresAtSecond: Math.floor(rng() * ttlSeconds),
        region: nearestRegion(city),
      };
    });
  });
}
