/** An engine in front of a fake ExaBGP, under a clock that the test moves. */
import { createManualClock } from "#base/clock.ts";
import type { Others } from "#bgp/advertisers.ts";
import { createBgp } from "#bgp/create-bgp.ts";
import type { AnycastSpec, PrefixPhase, PrefixSpec } from "#state/anycast.ts";
import type { RhumbEvent } from "#state/events.ts";
import { createFakeExabgp } from "./fake-exabgp.ts";

export const prefixSpec = (over: Partial<PrefixSpec> = {}): PrefixSpec => ({
  prefix: "203.0.113.1/32",
  nextHop: "self",
  med: undefined,
  prepend: 0,
  communities: [],
  largeCommunities: [],
  minAdvertisers: 1,
  ...over,
});

export const anycastSpec = (over: Partial<AnycastSpec> = {}): AnycastSpec => ({
  exabgp: { in: "/run/in", out: "/run/out", heartbeatPath: "/run/heartbeat", heartbeatMs: 200 },
  prefixes: [prefixSpec()],
  selfCheck: {
    kind: "tcp",
    address: "203.0.113.1",
    port: 80,
    path: "",
    intervalMs: 500,
    timeoutMs: 1_000,
    downMs: 3_000,
    upMs: 1_000,
  },
  drain: { prepend: 3, waitMs: 5_000 },
  holdDown: { baseMs: 10_000, halfLifeMs: 900_000, capMs: 3_600_000 },
  ...over,
});

export const advertiser = (node: string, phase: PrefixPhase = "advertised", prefix = "203.0.113.1/32") => ({
  node,
  share: { region: null, prefixes: [{ prefix, phase }] },
});

export function createBed(spec = anycastSpec()) {
  const clock = createManualClock();
  const exabgp = createFakeExabgp([{ address: "192.0.2.1", localAs: 65_001, peerAs: 65_000 }]);
  const events: RhumbEvent[] = [];
  let stoodMs = 0;
  const bed = {
    clock,
    exabgp,
    events,
    isOk: true,
    others: { isKnown: true, says: "", shares: [advertiser("lb2")] } as Others,
    /** In steps: what is asked in one is answered before the next. */
    async advance(ms: number): Promise<void> {
      for (let left = ms; left > 0; left -= 100) {
        clock.advance(Math.min(left, 100));
        await settle();
      }
    },
    /** Time goes by, and this process does not. */
    async standStill(ms: number): Promise<void> {
      stoodMs += ms;
      await settle();
    },
    phase: (prefix = "203.0.113.1/32"): PrefixPhase | undefined =>
      bgp.view().prefixes.find((entry) => entry.prefix === prefix)?.phase,
    says: (kind: RhumbEvent["kind"]): string[] => events.filter((event) => event.kind === kind).map(({ says }) => says),
  };
  const steady = { ...clock, nowMs: () => clock.nowMs() + stoodMs, monotonicMs: () => clock.monotonicMs() + stoodMs };
  const bgp = createBgp({
    node: "lb1",
    clock: steady,
    emit: (event) => events.push(event),
    selfCheck(_spec, done) {
      const timer = clock.after(1, () => done({ isOk: bed.isOk, says: bed.isOk ? "fine" : "connection refused" }));
      return { cancel: timer.cancel };
    },
    others: () => bed.others,
    onChange() {},
    pipes: exabgp.pipes,
  });
  bgp.apply(spec);
  return Object.assign(bed, { bgp });
}

export const settle = async (): Promise<void> => {
  for (let turn = 0; turn < 40; turn++) await Promise.resolve();
};
