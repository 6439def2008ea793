/**
 * Latency that this node learns goes to all nodes, and what all have learnt goes into the latency map.
 *
 * Owns:    the two steps once a minute. Never: a rule; those stand in `rum/` and `geo/`.
 * @module
 */
import type { GeoLoader } from "#app/geo-loader.ts";
import type { Clock, Timer } from "#base/clock.ts";
import { hashText } from "#base/hash.ts";
import { parseIp } from "#base/ip.ts";
import type { Log } from "#base/log.ts";
import type { ConnectionSamples } from "#net/connection-sampler.ts";
import { createConnectionTimes } from "#rum/connection-times.ts";
import type { Rum } from "#rum/create-rum.ts";
import { type MergedLatency, mergeLatency } from "#rum/merge.ts";
import { networkOf } from "#rum/network-key.ts";
import type { LatencyShare, Shared } from "#state/shared.ts";

const EVERY_MS = 60_000;
const TTL_MS = 3_600_000;

export type LearnedLatency = {
  /** What workers of the balancer say. */
  take(samples: ConnectionSamples): void;
  /** Networks of clients whose connections are known. */
  networks(): number;
  /** Shares and merges now, instead of at the end of the minute. */
  step(): Promise<void>;
  close(): void;
};

export function createLearnedLatency(options: {
  readonly node: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly shared: Pick<Shared, "publish" | "onRecord">;
  readonly rum: Pick<Rum, "rows">;
  readonly geo: Pick<GeoLoader, "setLearned">;
  /** Region whose balancer runs here; undefined: none. */
  readonly region: () => string | undefined;
  readonly isRegion: (id: string) => boolean;
  /** Whether this node answers DNS: else it needs no map. */
  readonly steers: () => boolean;
  readonly everyMs?: number;
}): LearnedLatency {
  const { node, clock, log, shared, rum, geo, region, isRegion, steers, everyMs = EVERY_MS } = options;
  const times = createConnectionTimes();
  const shares = new Map<string, { readonly atMs: number; readonly rows: LatencyShare["rows"] }>();
  let hasShared = false;
  /** What the map was built from. */
  let built = fingerprintOf([]);
  let timer: Timer | undefined;
  let isClosed = false;

  shared.onRecord("latency", (key, record) => {
    if (!record) shares.delete(key);
    // A node speaks for itself.
    else if (record.version.node === key) shares.set(key, { atMs: record.atMs, rows: record.body.rows });
  });

  async function step(): Promise<void> {
    const nowMs = clock.nowMs();
    const here = region();
    const rows = [...(here === undefined ? [] : times.rows(here, nowMs)), ...rum.rows(nowMs)];
    if (rows.length > 0 || hasShared) shared.publish("latency", node, { rows }, TTL_MS);
    hasShared = rows.length > 0;
    if (!steers()) return;
    const merged = mergeLatency([...shares.values()], isRegion, nowMs);
    const said = fingerprintOf(merged);
    if (said === built) return;
    await geo.setLearned(merged);
    built = said;
  }
  function stepLater(): void {
    timer = clock.after(everyMs, () => {
      step()
        .catch((error: unknown) => {
          if (!isClosed) log.error({ error: String(error) }, "Learnt latency could not be put into use");
        })
        .finally(() => isClosed || stepLater());
    });
  }
  stepLater();

  return {
    take({ addresses, rttMicros }) {
      const nowMs = clock.nowMs();
      for (const [at, text] of addresses.entries()) {
        const address = parseIp(text);
        if (address) times.add(networkOf(address), rttMicros[at]!, nowMs);
      }
    },
    networks: times.size,
    step,
    close() {
      isClosed = true;
      timer?.cancel();
    },
  };
}

/** The same for the same rows in any order. Times of measurements move on by themselves, and are no reason to build. */
function fingerprintOf(rows: readonly MergedLatency[]): string {
  let [sum, mixed] = [0, 0];
  for (const { network, region, rttMicros, by } of rows) {
    const hash = hashText(`${network} ${region} ${rttMicros} ${by}`);
    sum = (sum + hash) >>> 0;
    mixed = (mixed + Math.imul(hash, hash | 1)) >>> 0;
  }
  return `${rows.length} ${sum} ${mixed}`;
}
