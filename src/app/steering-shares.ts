/**
 * Who was sent where: sums over all DNS workers of what they count in `state/steering-hits.ts`.
 *
 * Owns:    the names behind the hashes, the totals of workers that are gone, and the samples of the last minute.
 * Readers: metrics (totals), `GET /services` and `/regions` (shares), `GET /services/{name}/classes`.
 * @module
 */
import type { ServiceClassesView } from "#api/views.ts";
import type { Clock, Timer } from "#base/clock.ts";
import type { Observations } from "#state/observations.ts";
import type { RegionSpec, ServiceSpec } from "#state/snapshot.ts";
import { type HitNumbering, NO_REGION, numberingOf, readClasses, readTotals } from "#state/steering-hits.ts";

const STEP_MS = 5_000;
/** Shares are those of the last minute. */
const STEPS = 12;
/** A worker that goes may answer for as long as connections are drained: its block is read until then. */
const GONE_MS = 90_000;
/** For answers that named no region, such as NODATA. No region can have this name. */
const NONE = "";

/** Answers by service, then by region. */
type Totals = Map<string, Map<string, number>>;

export type SteeringShares = {
  /** Learns the names; those of before stay known. */
  apply(services: readonly ServiceSpec[], regions: readonly RegionSpec[]): void;
  /** Since the start of the process; `region` is empty for answers that named none. */
  totals(): readonly { readonly service: string; readonly region: string; readonly answers: number }[];
  /** Shares of the last minute in percent: of a service's answers by region, and of all answers by region. */
  shares(): {
    ofService(service: string, region: string): number | null;
    ofRegion(region: string): number | null;
  };
  /** The classes of a service with the most answers. @returns undefined: no such service */
  classes(world: HitNumbering, service: string, top: number): ServiceClassesView | undefined;
  close(): void;
};

function add(totals: Totals, service: string, region: string, answers: number): void {
  const regions = totals.get(service) ?? new Map<string, number>();
  totals.set(service, regions.set(region, (regions.get(region) ?? 0) + answers));
}

export function createSteeringShares(options: { clock: Clock; workers(): readonly Observations[] }): SteeringShares {
  const { clock, workers } = options;
  const serviceNames = new Map<number, string>();
  const regionNames = new Map<number, string>([[0, NONE]]);
  /** When each block was last a worker's, by the monotonic clock. */
  const blocks = new Map<SharedArrayBuffer, number>();
  const gone: Totals = new Map();
  const samples: Totals[] = [];
  let timer: Timer;

  function fold(block: SharedArrayBuffer, into: Totals): void {
    readTotals(block, (serviceHash, regionHash, answers) => {
      const service = serviceNames.get(serviceHash);
      const region = regionNames.get(regionHash);
      if (service !== undefined && region !== undefined) add(into, service, region, answers);
    });
  }

  function sum(): Totals {
    for (const { hits } of workers()) blocks.set(hits, clock.monotonicMs());
    const totals: Totals = new Map([...gone].map(([service, regions]) => [service, new Map(regions)]));
    for (const block of blocks.keys()) fold(block, totals);
    return totals;
  }

  function step(): void {
    samples.push(sum());
    if (samples.length > STEPS + 1) samples.shift();
    for (const [block, seenAtMs] of blocks) {
      if (clock.monotonicMs() - seenAtMs <= GONE_MS) continue;
      fold(block, gone);
      blocks.delete(block);
    }
    timer = clock.after(STEP_MS, step);
  }
  step();

  /** Answers of the last minute that named a region. */
  function recent(): Totals {
    const differences: Totals = new Map();
    const before = samples[0]!;
    for (const [service, regions] of sum()) {
      for (const [region, answers] of regions) {
        const difference = answers - (before.get(service)?.get(region) ?? 0);
        if (region !== NONE && difference > 0) add(differences, service, region, difference);
      }
    }
    return differences;
  }

  return {
    apply(services, regions) {
      for (const { name, hash } of services) serviceNames.set(hash, name);
      for (const { id, hash } of regions) regionNames.set(hash, id);
    },
    totals: () =>
      [...sum()].flatMap(([service, regions]) =>
        [...regions].map(([region, answers]) => ({ service, region, answers })),
      ),
    shares() {
      const answers = recent();
      const inAll: Totals = new Map();
      for (const regions of answers.values()) for (const [region, count] of regions) add(inAll, NONE, region, count);
      const share = (regions: Map<string, number> | undefined, region: string): number | null => {
        if (regions === undefined) return null;
        const all = [...regions.values()].reduce((total, count) => total + count, 0);
        return (100 * (regions.get(region) ?? 0)) / all;
      };
      return {
        ofService: (service, region) => share(answers.get(service), region),
        ofRegion: (region) => share(inAll.get(NONE), region),
      };
    },
    classes(world, name, top) {
      const { services, regions, maps } = world;
      const number = services.findIndex((service) => service.name === name);
      if (number < 0) return undefined;
      const map = maps.find(({ mapId }) => mapId === services[number]!.mapId);
      const numbering = numberingOf(world);
      const found = new Map<number, Map<string, number>>();
      const starts = workers().flatMap(
        ({ hits }) =>
          readClasses(hits, numbering, (service, classNumber, region, answers) => {
            if (service !== number) return;
            const counts = found.get(classNumber) ?? new Map<string, number>();
            const id = region === NO_REGION ? NONE : regions[region]!.id;
            found.set(classNumber, counts.set(id, (counts.get(id) ?? 0) + answers));
          }) ?? [],
      );
      const rows = [...found].map(([classNumber, counts]) => ({
        class: classNumber,
        label: map?.classes[classNumber]?.label ?? "every client",
        answers: [...counts.values()].reduce((total, count) => total + count, 0),
        regions: [...counts]
          .filter(([id]) => id !== NONE)
          .map(([id, answers]) => ({ id, answers }))
          .sort((a, b) => b.answers - a.answers),
      }));
      rows.sort((a, b) => b.answers - a.answers || a.class - b.class);
      const all = rows.reduce((total, { answers }) => total + answers, 0);
      return {
        service: name,
        sinceMs: starts.length > 0 ? Math.min(...starts) : null,
        answers: all,
        classes: rows.slice(0, top).map((row) => ({ ...row, sharePercent: (100 * row.answers) / all })),
      };
    },
    close: () => timer.cancel(),
  };
}
