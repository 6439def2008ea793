/**
 * The load of one client place: clients, watch and ledger on one tick.
 * @module
 */
import { RhumbError } from "#base/errors.ts";
import { createSeededRng } from "#base/rng.ts";
import { createAnycastClient } from "#drill/load/anycast-client.ts";
import { createArrivals } from "#drill/load/arrivals.ts";
import { createClients } from "#drill/load/clients.ts";
import { createQuestion } from "#drill/load/dns-question.ts";
import { createLedger } from "#drill/load/ledger.ts";
import { createPopulation } from "#drill/load/population.ts";
import type { LoadLine, LoadSpec } from "#drill/load/protocol.ts";
import { createResolver } from "#drill/load/resolve.ts";
import { createWatch, WATCH_EVERY_MS } from "#drill/load/watch.ts";

export type Load = {
  /** Nothing begins any more. Resolves when all that has begun has ended and been told; at most some seconds later. */
  end(): Promise<void>;
};

export type LoadOptions = {
  readonly spec: LoadSpec;
  onLine(line: LoadLine): void;
  /** For people: what casts doubt on the load itself. */
  onDoubt(says: string): void;
};

/** Different streams of chance, so that one rate does not change what another does. */
const SALT = { population: 1, lookUps: 2, requests: 3, anycast: 4, ids: 5 } as const;
/** How often somebody looks whether all has come to its end. */
const END_LOOK_MS = 20;

/** Begins at once. @throws RhumbError where the name or the network cannot be asked with */
export function startLoad({ spec, onLine, onDoubt }: LoadOptions): Load {
  const { place, seed } = spec;
  const { continent } = place;
  const rng = (salt: number) => createSeededRng(Math.imul(seed, 31) + salt);
  const fresh = createQuestion({ name: spec.name, subnet: place.network, isRecursive: false });
  const stub = place.isResolver ? createQuestion({ name: spec.name, subnet: undefined, isRecursive: true }) : fresh;
  if (fresh === undefined || stub === undefined)
    throw new RhumbError("RHUMB_DRILL_LOAD", `nobody can ask for ${spec.name} from ${place.network}`);

  // A steady clock that shows Unix time: a step of the system's clock must not move what is due.
  const offsetMs = Date.now() - performance.now();
  const nowMs = (): number => performance.now() + offsetMs;
  const startMs = nowMs();

  const ledger = createLedger(continent, startMs);
  /** Who has not said a word yet; "" stands for the first request. */
  const awaited = new Set(spec.watch.map(({ node }) => node));
  if (spec.http.rps > 0) awaited.add("");
  let isReady = false;
  function settled(what?: string): void {
    if (what !== undefined) awaited.delete(what);
    if (isReady || awaited.size > 0) return;
    isReady = true;
    onLine({ kind: "ready", atMs: Math.round(nowMs()), continent });
  }

  let fullSecond = 0;
  const clients = createClients({
    spec,
    population: createPopulation(spec.dns.clients, spec.dns.stretchTtl, rng(SALT.population)),
    resolver: createResolver(place.resolvers, stub, rng(SALT.ids)),
    ledger,
    nowMs,
    onEnd: () => settled(""),
    onFull(says) {
      const second = Math.floor(nowMs() / 1_000);
      if (second === fullSecond) return;
      fullSecond = second;
      onDoubt(says);
    },
  });
  const watch = createWatch(spec.watch, fresh, rng(SALT.ids), (node, word) => {
    const atMs = Math.round(nowMs());
    if (word === "silent") onLine({ kind: "silent", atMs, continent, node });
    else {
      const { addresses, rcode, ttlSeconds: ttl } = word;
      const regions = [...new Set(addresses.map((address) => spec.regions[address] ?? ""))];
      onLine({ kind: "answer", atMs, continent, node, regions, ttl, rcode, addresses });
    }
    settled(node);
  });
  const anycast =
    place.anycast &&
    createAnycastClient({
      at: place.anycast,
      host: spec.name,
      regions: new Set(Object.values(spec.regions)),
      ledger,
      nowMs,
      onChange: (region, isOk, atMs) => onLine({ kind: "anycast", atMs: Math.round(atMs), continent, region, isOk }),
    });

  const streams = [
    { due: createArrivals(spec.dns.qps, startMs, rng(SALT.lookUps)), begin: () => clients.lookUp() },
    {
      due: createArrivals(spec.http.rps, startMs, rng(SALT.requests)),
      begin: (dueMs: number) => clients.request(dueMs),
    },
    {
      due: createArrivals(anycast ? spec.anycastRps : 0, startMs, rng(SALT.anycast)),
      begin: (dueMs: number) => anycast?.request(dueMs),
    },
  ];
  let watchMs = startMs;
  let isEnding = false;
  let timer: NodeJS.Timeout | undefined;

  function tick(): void {
    const now = nowMs();
    for (const { due, begin } of streams)
      for (let dueMs = due.take(now); dueMs !== undefined; dueMs = due.take(now)) begin(dueMs);
    if (now >= watchMs) {
      watch.ask();
      // A question that could not be asked in time is not made up for: it would not be fresh.
      watchMs = Math.max(watchMs + WATCH_EVERY_MS, now);
    }
    for (const second of ledger.advance(now)) onLine(second);
    const nextMs = Math.min(watchMs, ...streams.map(({ due }) => due.nextMs()));
    if (!isEnding) timer = setTimeout(tick, Math.max(0, nextMs - nowMs()));
  }
  tick();
  settled(); // where nobody is awaited

  return {
    async end() {
      isEnding = true;
      clearTimeout(timer);
      while (ledger.open() > 0) await new Promise((resolve) => setTimeout(resolve, END_LOOK_MS));
      for (const second of ledger.rest()) onLine(second);
      watch.close();
      clients.close();
    },
  };
}
