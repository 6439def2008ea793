/**
 * Kernel mode: keeps the kernel's rules in step with configuration and states of backends. Runs in the main thread; no
 * packet passes through this process.
 *
 * Owns:    our tables, and the conntrack entries of flows to our backends.
 * Never:   writes the backend table, or decides who is healthy.
 * @module
 */
import type { Clock, Timer } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import type { BalancerSnapshot } from "#state/balancer.ts";
import type { Emit, RhumbEvent } from "#state/events.ts";
import { type Applier, createApplier } from "./apply.ts";
import { type FlowsOf, forgetFlows } from "./conntrack.ts";
import { createNeighbours, deviceMac, isForwarding, pokeByUdp } from "./host-facts.ts";
import { type KernelPlan, type PlannedFlows, planKernel, type SlotCache } from "./plan.ts";
import { removalScript, renderRuleset } from "./ruleset.ts";
import { createRun, type Run } from "./run.ts";

export type NftStats = {
  readonly listeners: number;
  /** Listeners whose new flows are refused, because nobody serves. */
  readonly refusing: number;
  /** Rulesets brought into the kernel, and not taken by it. */
  readonly applied: number;
  readonly failed: number;
  /** How long the last one took. */
  readonly lastMs: number;
  readonly flowsForgotten: number;
};

export type Nft = {
  /** @throws RhumbError where the kernel does not take it; what was there before goes on */
  apply(snapshot: BalancerSnapshot): Promise<void>;
  /** States or weights in the backend table have changed. */
  statesChanged(): void;
  /** The time for flows of a backend that drains is up. */
  expired(row: number): void;
  stats(): NftStats;
  /** @param leave the rules stay, and the kernel goes on forwarding until the next process takes them over */
  close(options: { readonly leave: boolean }): Promise<void>;
};

export type NftOptions = {
  readonly clock: Clock;
  readonly log: Log;
  readonly emit: Emit;
  /** The backend table. */
  readonly table: Int32Array;
  /** The process before this one left its rules: they go with the first configuration that has none. */
  readonly takesOver?: boolean;
  readonly run?: Run;
  readonly poke?: (address: string) => void;
};

/** A wave of failures comes as many changes. */
const COALESCE_MS = 50;
/** Between looks at what others may have changed: our tables, neighbours. A failed apply is tried again then as well. */
const WATCH_MS = 5_000;
/** How long a backend may take to say its MAC address before a configuration is applied without it. */
const NEIGHBOUR_WAIT_MS = 1_000;

export function createNft(options: NftOptions): Nft {
  const { clock, log, emit, table, run = createRun(), poke = pokeByUdp } = options;
  let takesOver = options.takesOver ?? false;
  const neighbours = createNeighbours(run, clock, poke);
  const cache: SlotCache = new Map();
  const tell = createTeller(emit, clock);
  let snapshot: BalancerSnapshot | undefined;
  let applier: (Applier & { readonly table: string }) | undefined;
  let plan: KernelPlan | undefined;
  let flows: ReadonlyMap<string, PlannedFlows> = new Map();
  /** Of backends and listeners that are configured no more; they have their time to finish, as relayed ones do. */
  const leaving = new Map<string, PlannedFlows>();
  let flowsForgotten = 0;
  let queue: Promise<unknown> = Promise.resolve();
  let isDirty = false;
  let isClosed = false;
  let isFollowing = false;
  let watching: Timer | undefined;

  /** One after the other: a plan must not overtake a newer one. */
  function inTurn<Result>(task: () => Promise<Result>): Promise<Result> {
    const result = queue.then(task);
    queue = result.catch(() => {});
    return result;
  }

  const planFor = (current: BalancerSnapshot): KernelPlan =>
    planKernel({ snapshot: current, table, macOf: neighbours.macOf, cache });

  async function bring(current: BalancerSnapshot, neighbourWaitMs: number): Promise<void> {
    const { nft } = current;
    let next = planFor(current);
    if (next.listeners.length === 0 && !applier) {
      if (takesOver) await run("nft", ["-f", "-"], removalScript(nft.table)).catch(() => {});
      takesOver = false;
      tell("configuration", next.problems);
      return;
    }
    if (nft.device !== undefined && next.askMac.length > 0) {
      const isChanged = await neighbours.refresh(nft.device, next.askMac, neighbourWaitMs);
      if (isChanged) next = planFor(current);
    }
    await useTable(nft.table);
    const isBelowIp = next.groups.some(({ mode }) => mode !== "nft");
    const mac = isBelowIp && nft.device !== undefined ? await deviceMac(run, nft.device) : undefined;
    await applier!.apply(
      next.listeners.length > 0 ? renderRuleset({ ...next, nft, deviceMac: mac }) : removalScript(nft.table),
    );
    plan = next;
    isDirty = false;
    tell("ruleset", []);
    tell("configuration", next.problems);
    tell("neighbours", unknownNeighbours(next));
    tell("forwarding", await notForwarding(next));
    await forgetGone(next, current);
  }

  async function useTable(name: string): Promise<void> {
    if (applier?.table === name) return;
    await applier?.remove();
    applier = { ...createApplier({ run, clock, table: name }), table: name };
  }

  const unknownNeighbours = (next: KernelPlan): string[] =>
    next.askMac
      .filter((address) => neighbours.macOf(address) === undefined)
      .map(
        (address) => `Backend ${address} does not say its MAC address and gets nothing: is it up, and in our network?`,
      );

  async function notForwarding({ listeners, groups }: KernelPlan): Promise<string[]> {
    const throughIp = new Set(groups.filter(({ mode }) => mode !== "nft-dsr").map(({ name }) => name));
    const families = new Set(listeners.filter(({ group }) => throughIp.has(group)).map(({ family }) => family));
    const says: string[] = [];
    for (const family of families)
      if (!(await isForwarding(run, family)))
        says.push(
          `This host does not forward IPv${family}: set ${family === 4 ? "net.ipv4.ip_forward" : "net.ipv6.conf.all.forwarding"}=1`,
        );
    return says;
  }

  /** Flows to backends that are gone since the last look are forgotten; those of removed ones when `expired` says so. */
  async function forgetGone(next: KernelPlan, { pools, drainMs }: BalancerSnapshot): Promise<void> {
    const before = flows;
    flows = next.flows;
    const configured = new Set(pools.flatMap(({ backends }) => backends.map(({ target }) => target)));
    for (const [name, former] of before) {
      if (next.flows.has(name)) continue;
      leaving.set(name, former);
      // Nobody says of a listener when its time is over.
      if (configured.has(former.row)) clock.after(drainMs, () => void inTurn(() => forgetLeft([name])));
    }
    const gone: FlowsOf[] = [];
    for (const [name, now] of next.flows) {
      leaving.delete(name);
      if (now.isGone && !before.get(name)?.isGone) gone.push(now.flows);
    }
    await forget(gone);
  }
  async function forgetLeft(names: readonly string[]): Promise<void> {
    const left = names.flatMap((name) => leaving.get(name)?.flows ?? []);
    for (const name of names) leaving.delete(name);
    if (!isClosed) await forget(left);
  }
  async function forget(gone: readonly FlowsOf[]): Promise<void> {
    if (gone.length === 0) return;
    try {
      for (const lost of gone) {
        const count = await forgetFlows(run, lost);
        flowsForgotten += count;
        if (count > 0) log.info({ ...lost, count }, "forgot the flows of a backend");
      }
      tell("conntrack", []);
    } catch (fault) {
      tell("conntrack", [`Flows of a backend that is gone stay until they time out: ${says(fault)}`]);
    }
  }

  /** As `bring()`, where nobody waits for the outcome. */
  async function follow(): Promise<void> {
    if (isClosed || !snapshot) return;
    try {
      await bring(snapshot, 0);
    } catch (fault) {
      isDirty = true;
      tell("ruleset", [`The kernel's rules are not up to date: ${says(fault)}`]);
    }
  }

  async function watch(): Promise<void> {
    if (isClosed || !applier || !snapshot) return;
    try {
      if (await applier.verify()) log.warn({ table: applier.table }, "our nftables tables were gone; put them back");
      const { device } = snapshot.nft;
      const askMac = plan?.askMac ?? [];
      if (device !== undefined && askMac.length > 0 && (await neighbours.refresh(device, askMac, 0))) isDirty = true;
    } catch (fault) {
      tell("ruleset", [`The kernel's rules cannot be looked after: ${says(fault)}`]);
    }
    if (isDirty) await follow();
  }
  function watchLater(): void {
    watching = clock.after(WATCH_MS, () => {
      void inTurn(watch).finally(() => !isClosed && watchLater());
    });
  }

  watchLater();
  return {
    apply: (next) =>
      inTurn(async () => {
        await bring(next, NEIGHBOUR_WAIT_MS);
        snapshot = next;
      }),
    statesChanged() {
      if (isFollowing || isClosed || !applier) return;
      isFollowing = true;
      clock.after(COALESCE_MS, () => {
        void inTurn(() => {
          isFollowing = false;
          return follow();
        });
      });
    },
    expired(row) {
      void inTurn(async () => {
        await forget([...flows.values()].filter((planned) => planned.row === row).map((planned) => planned.flows));
        await forgetLeft([...leaving].flatMap(([name, planned]) => (planned.row === row ? [name] : [])));
      });
    },
    stats() {
      const { applied = 0, failed = 0, lastMs = 0 } = applier?.stats() ?? {};
      const refusing = new Set(plan?.groups.filter(({ spread }) => spread.kind === "refuse").map(({ name }) => name));
      const listeners = plan?.listeners ?? [];
      return {
        listeners: listeners.length,
        refusing: listeners.filter(({ group }) => refusing.has(group)).length,
        applied,
        failed,
        lastMs,
        flowsForgotten,
      };
    },
    async close({ leave }) {
      isClosed = true;
      watching?.cancel();
      await queue;
      if (!leave) await applier?.remove();
    },
  };
}

const says = (fault: unknown): string => (fault instanceof Error ? fault.message : String(fault));

/** An event when a subject's sentences change, and one when they end. */
function createTeller(emit: Emit, clock: Clock): (subject: string, sentences: readonly string[]) => void {
  const told = new Map<string, string>();
  return (subject, sentences) => {
    const text = sentences.join(" ");
    if ((told.get(subject) ?? "") === text) return;
    told.set(subject, text);
    const severity: RhumbEvent["severity"] = text === "" ? "resolved" : subject === "ruleset" ? "alarm" : "warning";
    emit({
      kind: "kernel.fault",
      atMs: clock.nowMs(),
      severity,
      subject: `kernel/${subject}`,
      says: text === "" ? "Kernel mode is in order again" : text,
    });
  };
}
