/**
 * Announces a node's prefixes through the ExaBGP beside it: looks, plans, tells, and asks what became of it.
 *
 * Owns:    the plan of each prefix, the conversation with ExaBGP, the heartbeat of the guard.
 * Never:   probes (the self-check is handed in), waits for a pipe, or looks at other machines but for a planned withdrawal.
 *
 * ExaBGP is asked each second what it announces. What it does not have and should, or has and should not, it is told again:
 * so a restart of ExaBGP, a withdrawal by the guard and another program's commands all heal in the same way. A route that
 * went away while this process stood still went away by the guard, and counts as a flap.
 *
 * Units:   ms; `monotonicMs` inside, the Unix clock in what is told.
 * @module
 */
import type { Clock, Timer } from "#base/clock.ts";
import { advertisersOf, type Others, whyNotLeave } from "#bgp/advertisers.ts";
import { type ExabgpLink, LinkFault, openExabgp } from "#bgp/exabgp.ts";
import { createHeartbeat, GUARD_LIMIT_MS, type Heartbeat } from "#bgp/heartbeat.ts";
import { type Pipes, systemPipes } from "#bgp/pipes.ts";
import { type Desired, desired, flapped, newPlan, nextPlan, type PrefixPlan } from "#bgp/plan.ts";
import {
  type Announced,
  announceCommands,
  type Neighbour,
  parseAdjRib,
  parseNeighbours,
  parseSummary,
  type Session,
  withdrawCommand,
} from "#bgp/route.ts";
import { lookAgain, notYetChecked, type Serving, takeResult } from "#bgp/serving.ts";
import { createTold } from "#bgp/told.ts";
import type { AnycastShare, AnycastSpec, AnycastView, AnycastWish, PrefixSpec } from "#state/anycast.ts";
import type { Emit } from "#state/events.ts";

/** One look at our own serving; `done` is called once, not after `cancel`. */
export type SelfCheck = (
  spec: AnycastSpec["selfCheck"],
  done: (result: { readonly isOk: boolean; readonly says: string }) => void,
) => { cancel(): void };

export type BgpOptions = {
  readonly node: string;
  readonly clock: Clock;
  readonly emit: Emit;
  readonly selfCheck: SelfCheck;
  /** What other nodes announce, by their records. */
  readonly others: () => Others;
  /** Called when a phase has changed: others should hear of it soon. */
  readonly onChange: () => void;
  readonly pipes?: Pipes;
};

export type Bgp = {
  /** `undefined`: nothing is announced any more; what was, is withdrawn. */
  apply(spec: AnycastSpec | undefined): void;
  /** What an operator wants, and what an evacuation does: each keeps its own wish, and one that wants it away is enough. */
  wish(from: "operator" | "evacuation", wish: AnycastWish): void;
  view(): AnycastView;
  share(): AnycastShare["prefixes"];
  stats(): { readonly withdrawals: number; readonly announcements: number; readonly refusals: number };
  /**
   * A clean stop: drains, withdraws, and says so to the guard. Resolves when that is done, or ExaBGP does not answer.
   * @param leave another process of ours goes on: what is announced stays
   */
  close(options?: { readonly leave?: boolean }): Promise<void>;
};

const ASK_EACH_MS = 1_000;
const REOPEN_MS = 500;
/** After a command that ExaBGP refused. */
const RETRY_MS = 5_000;
/** After the drain of a stop: for the last commands. */
const LAST_WORDS_MS = 3_000;

type Entry = {
  readonly spec: PrefixSpec;
  plan: PrefixPlan;
  /** What ExaBGP has acknowledged: the commands, none, or undefined where nobody knows. */
  acked: { readonly commands: readonly string[]; readonly atMs: number } | undefined;
  /** No longer configured: withdrawn, and then forgotten. */
  readonly isLeaving: boolean;
  /** ExaBGP refused the command: not again before. */
  retryAtMs: number;
};

export function createBgp(options: BgpOptions): Bgp {
  const { node, clock, emit, others, onChange, pipes = systemPipes } = options;
  const told = createTold({ clock, emit });
  const entries = new Map<string, Entry>();
  const wishes: Record<"operator" | "evacuation", AnycastWish> = {
    operator: { kind: "announce" },
    evacuation: { kind: "announce" },
  };
  const counts = { withdrawals: 0, announcements: 0, refusals: 0 };
  let spec: AnycastSpec | undefined;
  let serving: Serving = notYetChecked(clock.monotonicMs());
  let servingSinceMs = clock.nowMs();
  let link: ExabgpLink | undefined;
  let linkSays = "not asked yet";
  let answeredAtMs: number | null = null;
  let neighbours: readonly Neighbour[] = [];
  let sessions: readonly Session[] = [];
  let sessionsAtMs = 0;
  let announced: readonly Announced[] = [];
  let heartbeat: Heartbeat | undefined;
  let guardFault: string | undefined = "no heartbeat was sent yet";
  let askedAtMs = Number.NEGATIVE_INFINITY;
  let reopenAtMs = Number.NEGATIVE_INFINITY;
  let tickedAtMs = clock.monotonicMs();
  /** This process stood still for so long that the guard may have withdrawn everything; until ExaBGP has been asked. */
  let hasStoodStill = false;
  let isStopping = false;
  /** What to apply when everything of before is withdrawn. */
  let afterwards: AnycastSpec | undefined;
  let isBusy = false;
  let timer: Timer | undefined;
  let checkTimer: Timer | undefined;
  let check: { cancel(): void } | undefined;
  /** Says that nothing is left to tell ExaBGP. */
  let onSettled: (() => void) | undefined;

  const unixOf = (steadyMs: number): number => Math.round(clock.nowMs() - (clock.monotonicMs() - steadyMs));

  /** What ExaBGP is to announce; undefined: leave it as it is until the self-check has an opinion. */
  function wanted({ spec: prefix, plan, isLeaving }: Entry): readonly string[] | undefined {
    if (isLeaving) return [];
    switch (plan.phase) {
      case "starting":
        return undefined;
      case "advertised":
        return announceCommands(prefix, undefined, neighbours);
      case "draining":
        return announceCommands(prefix, spec?.drain.prepend ?? 0, neighbours);
      case "ready":
      case "withdrawn":
        return [];
      default:
        return plan.phase satisfies never;
    }
  }

  const isTold = (entry: Entry): boolean => {
    const commands = wanted(entry);
    return commands === undefined || (entry.acked !== undefined && sameList(entry.acked.commands, commands));
  };

  function setPlan(entry: Entry, plan: PrefixPlan, want: Desired | undefined): void {
    const before = entry.plan;
    if (plan === before) return;
    entry.plan = plan;
    if (plan.refused !== undefined && before.refused === undefined) {
      counts.refusals++;
      told.refused(entry.spec.prefix, plan.says);
    }
    if (plan.phase === before.phase) return;
    if (plan.phase === "withdrawn" && before.phase !== "ready" && before.phase !== "starting") counts.withdrawals++;
    if (plan.phase === "advertised" && before.phase !== "draining") counts.announcements++;
    told.phase(entry.spec.prefix, plan, want, unixOf);
    onChange();
  }

  function look(): void {
    if (!spec) return;
    const nowMs = clock.monotonicMs();
    setServing(lookAgain(serving, nowMs, spec.selfCheck));
    const want = desired(serving, [wishes.operator, wishes.evacuation], isStopping);
    for (const entry of entries.values()) {
      if (entry.isLeaving) continue;
      const { prefix, minAdvertisers } = entry.spec;
      const whyNot = (isDraining: boolean): string | undefined =>
        whyNotLeave({ node, prefix, minAdvertisers, isDraining }, others());
      setPlan(entry, nextPlan(entry.plan, want, nowMs, spec, whyNot), want);
    }
  }

  function setServing(next: Serving): void {
    const before = serving;
    serving = next;
    if (next.state === before.state) return;
    servingSinceMs = clock.nowMs();
    if (spec) told.selfCheck(spec.selfCheck, next, before.state);
  }

  function startCheck(): void {
    const at = spec?.selfCheck;
    if (!at) return;
    const startedAtMs = clock.monotonicMs();
    check = options.selfCheck(at, (result) => {
      check = undefined;
      if (spec?.selfCheck !== at) return;
      setServing(takeResult(serving, result, clock.monotonicMs(), at));
      checkTimer = clock.after(Math.max(0, at.intervalMs - (clock.monotonicMs() - startedAtMs)), startCheck);
      look();
      void tell();
    });
  }

  function stopCheck(): void {
    check?.cancel();
    checkTimer?.cancel();
    check = undefined;
    checkTimer = undefined;
  }

  /** Whatever runs first after it has to know: not every timer is the heartbeat's. */
  function noticeStandstill(): void {
    if (clock.monotonicMs() - tickedAtMs >= GUARD_LIMIT_MS) hasStoodStill = true;
  }

  function tick(): void {
    timer = undefined;
    if (!spec) return;
    noticeStandstill();
    tickedAtMs = clock.monotonicMs();
    guardFault = heartbeat!.beat([...entries.keys()]);
    told.guard(guardFault);
    look();
    void tell();
    timer = clock.after(spec.exabgp.heartbeatMs, tick);
  }

  /** Brings ExaBGP to what is wanted, a command at a time; withdrawals first. Never rejects. */
  async function tell(): Promise<void> {
    if (isBusy || !spec) return;
    isBusy = true;
    try {
      for (let asked = link ?? (await open()); asked; ) {
        const entry = nextEntry();
        if (entry) await bring(asked, entry);
        else if (clock.monotonicMs() - askedAtMs >= ASK_EACH_MS) await inquire(asked);
        else break;
        if (link !== asked) break;
      }
    } catch (fault) {
      lose(fault instanceof LinkFault ? fault.message : String(fault));
    } finally {
      isBusy = false;
    }
    if (nextEntry() === undefined || !link) onSettled?.();
  }

  async function open(): Promise<ExabgpLink | undefined> {
    if (!spec || clock.monotonicMs() < reopenAtMs) return undefined;
    const of = spec;
    const opened = await openExabgp(of.exabgp, pipes, clock);
    if (spec !== of) {
      opened.close();
      return undefined;
    }
    link = opened;
    linkSays = `ExaBGP ${opened.version} answers`;
    told.exabgp(true, linkSays);
    neighbours = parseNeighbours((await opened.ask("show neighbor extensive")).lines);
    await inquire(opened);
    return opened;
  }

  function lose(says: string): void {
    link?.close();
    link = undefined;
    linkSays = says;
    reopenAtMs = clock.monotonicMs() + REOPEN_MS;
    sessions = [];
    announced = [];
    for (const entry of entries.values()) entry.acked = undefined;
    told.exabgp(false, says);
    told.sessions(neighbours, sessions);
  }

  function nextEntry(): Entry | undefined {
    const nowMs = clock.monotonicMs();
    const open = [...entries.values()].filter((entry) => !isTold(entry) && entry.retryAtMs <= nowMs);
    return open.find((entry) => wanted(entry)?.length === 0) ?? open[0];
  }

  async function bring(to: ExabgpLink, entry: Entry): Promise<void> {
    const commands = wanted(entry);
    if (commands === undefined) return;
    const sent = commands.length === 0 ? [withdrawCommand(entry.spec.prefix)] : commands;
    for (const command of sent) {
      const { isDone } = await to.ask(command);
      if (isDone) continue;
      entry.retryAtMs = clock.monotonicMs() + RETRY_MS;
      told.notTaken(entry.spec.prefix, command);
      return;
    }
    entry.acked = { commands, atMs: clock.nowMs() };
    answeredAtMs = clock.nowMs();
    if (entry.isLeaving) entries.delete(entry.spec.prefix);
    told.route(entry.spec.prefix, commands);
  }

  /** What ExaBGP announces, and to whom. */
  async function inquire(of: ExabgpLink): Promise<void> {
    askedAtMs = clock.monotonicMs();
    noticeStandstill();
    const stoodStill = hasStoodStill;
    const rib = parseAdjRib((await of.ask("show adj-rib out")).lines);
    const summary = parseSummary((await of.ask("show neighbor summary")).lines);
    if (!rib || !summary) throw new LinkFault("its answers have got out of step with our commands");
    if (summary.some(({ neighbour }) => !neighbours.some(({ address }) => address === neighbour)))
      neighbours = parseNeighbours((await of.ask("show neighbor extensive")).lines);
    answeredAtMs = clock.nowMs();
    sessions = summary;
    sessionsAtMs = clock.monotonicMs();
    told.sessions(neighbours, sessions);
    for (const entry of entries.values()) compare(entry, announced, rib, stoodStill);
    announced = rib;
    hasStoodStill &&= !stoodStill;
  }

  function compare(entry: Entry, before: readonly Announced[], now: readonly Announced[], stoodStill: boolean): void {
    const { prefix } = entry.spec;
    const at = (rib: readonly Announced[]): string =>
      rib
        .filter((route) => route.prefix === prefix)
        .map(({ neighbour }) => neighbour)
        .sort()
        .join(" ");
    const isThere = at(now) !== "";
    if (!isThere && isAnnounced(entry.plan) && stoodStill && spec && (entry.acked?.commands.length ?? 0) > 0) {
      const says = "The guard withdrew it while this process stood still";
      setPlan(entry, flapped(entry.plan, says, clock.monotonicMs(), spec), undefined);
    }
    const wants = wanted(entry);
    if (wants === undefined) return;
    if (wants.length === 0) {
      if (isThere) entry.acked = undefined;
      else entry.acked ??= { commands: [], atMs: clock.nowMs() };
      if (!isThere && entry.isLeaving) entries.delete(prefix);
    } else if (!isThere || (at(before) !== "" && at(before) !== at(now))) entry.acked = undefined;
  }

  function apply(next: AnycastSpec | undefined): void {
    const before = spec;
    if (isStopping) afterwards = next;
    if (isStopping || isSame(before, next)) return;
    if (!next) {
      void leave().then(() => {
        end();
        if (afterwards) apply(afterwards);
      });
      return;
    }
    const nowMs = clock.monotonicMs();
    const old = new Map(entries);
    for (const entry of old.values()) entries.set(entry.spec.prefix, { ...entry, isLeaving: true });
    for (const prefix of next.prefixes) {
      const { plan = newPlan(nowMs), acked } = old.get(prefix.prefix) ?? {};
      entries.set(prefix.prefix, { spec: prefix, plan, acked, isLeaving: false, retryAtMs: 0 });
    }
    spec = next;
    if (before && !isSame(before.exabgp, next.exabgp)) lose("its pipes have moved");
    if (!isSame(before?.exabgp.heartbeatPath, next.exabgp.heartbeatPath)) {
      heartbeat?.close();
      heartbeat = createHeartbeat(next.exabgp.heartbeatPath, pipes);
    }
    if (!isSame(before?.selfCheck, next.selfCheck)) {
      stopCheck();
      startCheck();
    }
    if (!before) {
      tickedAtMs = nowMs;
      tick();
    }
    onChange();
  }

  /** Withdraws what is announced, once it has drained. */
  async function leave(): Promise<void> {
    const waitMs = spec?.drain.waitMs ?? 0;
    isStopping = true;
    look();
    const { promise, resolve } = Promise.withResolvers<void>();
    const isOver = (): boolean =>
      [...entries.values()].every(({ plan, isLeaving }) => isLeaving || !isAnnounced(plan)) &&
      (nextEntry() === undefined || !link);
    onSettled = () => {
      if (isOver()) resolve();
    };
    const deadline = clock.after(waitMs + LAST_WORDS_MS, resolve);
    await tell();
    await promise;
    deadline.cancel();
    onSettled = undefined;
  }

  function end(): void {
    stopCheck();
    timer?.cancel();
    timer = undefined;
    heartbeat?.close();
    link?.close();
    link = undefined;
    spec = undefined;
    entries.clear();
    serving = notYetChecked(clock.monotonicMs());
    isStopping = false;
  }

  return {
    apply,
    wish(from, wish) {
      wishes[from] = wish;
      look();
      void tell();
    },
    stats: () => ({ ...counts }),
    share: () =>
      [...entries.values()]
        .filter(({ isLeaving }) => !isLeaving)
        .map(({ spec: { prefix }, plan: { phase, refused } }) => ({
          prefix,
          // Whoever stops goes whatever others do: they must not count on it while it drains.
          phase: isStopping && phase === "draining" ? "withdrawn" : phase,
          ...(refused === undefined ? {} : { refused }),
        })),
    view: () => ({
      isConfigured: spec !== undefined,
      exabgp: {
        isAnswering: link !== undefined,
        says: linkSays,
        answeredAtMs,
        version: link?.version ?? null,
      },
      guard: {
        isReading: spec === undefined ? null : guardFault === undefined,
        says: guardFault ?? "The guard reads the heartbeat",
      },
      selfCheck:
        spec === undefined ? null : { isOk: serving.state === "up", sinceMs: servingSinceMs, says: serving.says },
      peers: neighbours.map(({ address, peerAs }) => {
        const session = sessions.find(({ neighbour }) => neighbour === address);
        return {
          neighbour: address,
          isEstablished: session !== undefined,
          asn: session?.asn ?? peerAs,
          upSinceMs: session ? unixOf(sessionsAtMs - session.upMs) : null,
        };
      }),
      prefixes: [...entries.values()].map(({ spec: { prefix }, plan, acked }) => ({
        prefix,
        phase: plan.phase,
        sinceMs: unixOf(plan.sinceMs),
        says: plan.says,
        announced: acked && acked.commands.length > 0 ? { route: acked.commands.join("; "), atMs: acked.atMs } : null,
        heldUntilMs:
          plan.heldUntilMs !== undefined && plan.heldUntilMs > clock.monotonicMs() ? unixOf(plan.heldUntilMs) : null,
        flaps: plan.flaps,
        advertisers: [...advertisersOf(others(), prefix), ...(isAnnounced(plan) ? [node] : [])].sort(),
      })),
    }),
    async close({ leave: isLeft = false } = {}) {
      if (!spec) return;
      if (!isLeft) {
        await leave();
        // Nothing is left to be guarded; where ExaBGP did not answer, the guard is to withdraw what it knows.
        if (link) heartbeat?.beat([]);
      }
      end();
    },
  };
}

const isAnnounced = ({ phase }: PrefixPlan): boolean => phase === "advertised" || phase === "draining";
/** Of plain data, whose keys come in the order of the one who makes it. */
const isSame = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);
const sameList = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((text, index) => text === b[index]);
