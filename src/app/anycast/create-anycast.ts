/**
 * Joins `bgp/` to the node: the self-check, what other nodes announce, evacuations, and what an operator says.
 *
 * Owns:    the record `anycast` of this node. Never: decides what is announced.
 * @module
 */
import { createSelfCheck } from "#app/anycast/self-check.ts";
import type { BalancerEngine } from "#app/balancer/engine.ts";
import { createRegionReporter } from "#app/balancer/region-report.ts";
import type { Clock, Timer } from "#base/clock.ts";
import { RhumbError } from "#base/errors.ts";
import type { Others } from "#bgp/advertisers.ts";
import { type Bgp, createBgp } from "#bgp/create-bgp.ts";
import { createProbes } from "#health/probes/table.ts";
import type { AnycastView, AnycastWish } from "#state/anycast.ts";
import type { Evacuation } from "#state/evacuation.ts";
import type { Emit } from "#state/events.ts";
import type { Shared } from "#state/shared.ts";
import type { Snapshot } from "#state/snapshot.ts";

export type Anycast = {
  apply(snapshot: Snapshot): void;
  view(): AnycastView;
  stats: Bgp["stats"];
  /** @throws RHUMB_ANYCAST_NOT_CONFIGURED */
  announce(): AnycastView;
  /** @throws RHUMB_ANYCAST_NOT_CONFIGURED; RHUMB_ANYCAST_REFUSED where too few others announce */
  withdraw(reason: string, owner: string): AnycastView;
  close: Bgp["close"];
};

const EVERY_MS = 1_000;
const TTL_MS = 5_000;

export function createAnycast(options: {
  readonly node: string;
  readonly clock: Clock;
  readonly emit: Emit;
  readonly shared: Shared;
  readonly balancer: Pick<BalancerEngine, "stats" | "pools" | "snapshot">;
}): Anycast {
  const { node, clock, emit, shared, balancer } = options;
  let region: string | undefined;
  let isConfigured = false;
  let timer: Timer | undefined;

  function publish(): void {
    timer?.cancel();
    timer = undefined;
    if (!isConfigured) return;
    shared.publish("anycast", node, { region: region ?? null, prefixes: bgp.share() }, TTL_MS);
    timer = clock.after(EVERY_MS, publish);
  }
  /** Who is told no has asked for nothing: it must not happen later, when another node comes. */
  function dropRefused(): string | undefined {
    const refused = bgp.share().find((entry) => entry.refused !== undefined)?.refused;
    if (refused !== undefined) bgp.wish("operator", { kind: "announce" });
    return refused;
  }
  function onChange(): void {
    publish();
    queueMicrotask(dropRefused);
  }
  function others(): Others {
    const { by, isConnected, says } = shared.status();
    const shares = shared
      .records("anycast")
      .filter(({ key, version }) => key === version.node && key !== node)
      .map(({ key, body }) => ({ node: key, share: body }));
    return { isKnown: by === "alone" || isConnected, says, shares };
  }
  // An operator who drains the node moves clients by other means; whether pools have backends is all that counts here.
  const { report } = createRegionReporter({ engine: balancer, clock, node, draining: () => undefined });
  const selfCheck = createSelfCheck({ clock, startProbe: createProbes(clock), report });
  const bgp = createBgp({ node, clock, emit, selfCheck, others, onChange });

  const follow = (): void => {
    const record = region === undefined ? undefined : shared.records("evacuation").find(({ key }) => key === region);
    bgp.wish("evacuation", wishOf(record?.body));
  };
  shared.onRecord("evacuation", follow);

  const mustBeConfigured = (): void => {
    if (!isConfigured) throw new RhumbError("RHUMB_ANYCAST_NOT_CONFIGURED", node);
  };
  return {
    apply(snapshot) {
      region = snapshot.balancer?.region;
      isConfigured = snapshot.anycast !== undefined;
      bgp.apply(snapshot.anycast);
      follow();
      publish();
    },
    view: bgp.view,
    stats: bgp.stats,
    announce() {
      mustBeConfigured();
      bgp.wish("operator", { kind: "announce" });
      return bgp.view();
    },
    withdraw(reason, owner) {
      mustBeConfigured();
      bgp.wish("operator", { kind: "withdraw", reason, owner });
      const refused = dropRefused();
      if (refused === undefined) return bgp.view();
      throw new RhumbError("RHUMB_ANYCAST_REFUSED", refused);
    },
    async close(how) {
      await bgp.close(how);
      timer?.cancel();
      isConfigured = false;
    },
  };
}

/** On the way back the first thing is to be reachable again: the prefixes return with the step `withdraw`. */
export function wishOf(evacuation: Evacuation | undefined): AnycastWish {
  const steps = evacuation?.direction === "leave" ? ["withdraw", "evacuated"] : ["evacuated"];
  if (!evacuation?.terms.withdraws || !steps.includes(evacuation.step)) return { kind: "announce" };
  return { kind: "withdraw", reason: `evacuation: ${evacuation.reason}`, owner: evacuation.owner };
}
