/**
 * What people are told of anycast: an event for each change, none for what stays as it was.
 * @module
 */
import type { Clock } from "#base/clock.ts";
import { endpointText } from "#base/ip.ts";
import { countText, formatDurationMs } from "#base/units.ts";
import type { Desired, PrefixPlan } from "#bgp/plan.ts";
import type { Neighbour, Session } from "#bgp/route.ts";
import type { Serving } from "#bgp/serving.ts";
import type { AnycastSpec } from "#state/anycast.ts";
import type { Emit, RhumbEvent } from "#state/events.ts";

export type Told = ReturnType<typeof createTold>;

export function createTold({ clock, emit }: { readonly clock: Clock; readonly emit: Emit }) {
  let wasAnswering: boolean | undefined;
  let wasReading = true; // that it does is no news at the start
  /** The command of each prefix that was refused last. */
  const notTaken = new Map<string, string>();
  const established = new Map<string, boolean>();
  const say = (
    kind: "anycast.prefix" | "anycast.session" | "anycast.self-check" | "anycast.refused",
    severity: RhumbEvent["severity"],
    subject: string,
    says: string,
    data?: RhumbEvent["data"],
  ): void => emit({ kind, severity, subject, says, atMs: clock.nowMs(), ...(data ? { data } : {}) });

  return {
    phase(prefix: string, plan: PrefixPlan, want: Desired | undefined, unixOf: (steadyMs: number) => number): void {
      const isFault = plan.phase === "withdrawn" && (want === undefined || want.kind === "withdraw");
      const severity = isFault ? "alarm" : plan.phase === "advertised" ? "resolved" : "info";
      const held =
        plan.heldUntilMs === undefined
          ? ""
          : `. Not before ${formatDurationMs(Math.round(plan.heldUntilMs - clock.monotonicMs()))} from now`;
      say("anycast.prefix", severity, prefix, `${prefix} is ${plan.phase}: ${plan.says}${held}`, {
        phase: plan.phase,
        flaps: plan.flaps,
        heldUntilMs: plan.heldUntilMs === undefined ? null : unixOf(plan.heldUntilMs),
      });
    },
    /** ExaBGP has taken it. */
    route(prefix: string, commands: readonly string[]): void {
      notTaken.delete(prefix);
      const says = commands.length === 0 ? `ExaBGP announces ${prefix} no more` : `ExaBGP has: ${commands.join("; ")}`;
      say("anycast.prefix", "info", prefix, says, { isAnnounced: commands.length > 0 });
    },
    refused: (prefix: string, says: string): void =>
      say("anycast.refused", "warning", prefix, `${prefix} stays announced: ${says}`),
    selfCheck(
      { kind, address, port }: AnycastSpec["selfCheck"],
      { state, says }: Serving,
      before: Serving["state"],
    ): void {
      const at = `${kind} ${endpointText(address, port)}`;
      if (state === "down") say("anycast.self-check", "alarm", at, `This node does not serve on ${at}: ${says}`);
      else if (before === "down") say("anycast.self-check", "resolved", at, `This node serves on ${at} again`);
      else say("anycast.self-check", "info", at, `This node serves on ${at}`);
    },
    notTaken(prefix: string, command: string): void {
      if (notTaken.get(prefix) === command) return;
      notTaken.set(prefix, command);
      say("anycast.prefix", "alarm", prefix, `ExaBGP refuses \`${command}\`: its log says why`);
    },
    exabgp(isAnswering: boolean, says: string): void {
      if (wasAnswering === isAnswering) return;
      const severity = !isAnswering ? "alarm" : wasAnswering === undefined ? "info" : "resolved";
      wasAnswering = isAnswering;
      const what = isAnswering ? says : `ExaBGP does not answer, and nothing can be announced or withdrawn: ${says}`;
      say("anycast.session", severity, "exabgp", what);
    },
    /** @param fault undefined: it reads */
    guard(fault: string | undefined): void {
      const isReading = fault === undefined;
      if (isReading === wasReading) return;
      wasReading = isReading;
      if (isReading) say("anycast.session", "resolved", "guard", "The guard reads the heartbeat");
      else
        say(
          "anycast.session",
          "warning",
          "guard",
          `The guard does not read the heartbeat; if this node died now, its routes would stay: ${fault}`,
        );
    },
    sessions(neighbours: readonly Neighbour[], sessions: readonly Session[]): void {
      for (const { address } of neighbours) {
        const isUp = sessions.some(({ neighbour }) => neighbour === address);
        if (established.get(address) === isUp) continue;
        established.set(address, isUp);
        const left = countText(sessions.length, "session");
        say(
          "anycast.session",
          isUp ? "resolved" : "warning",
          `peer/${address}`,
          `The BGP session with ${address} is ${isUp ? "established" : "down"}; ${left} of ${neighbours.length} up`,
        );
      }
    },
  };
}
