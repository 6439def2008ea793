/** `rhumb anycast show|withdraw|announce`: what a node announces by BGP. @module */
import { Command } from "commander";
import { countText } from "#base/units.ts";
import { type ApiOptions, apiCommand, clientFor } from "#cli/command.ts";
import { type Cell, type Colour, formatSpan, paint, plain, say, sayJson, table } from "#cli/output.ts";
import type { AnycastView } from "#state/anycast.ts";

const COLOURS: Readonly<Record<string, Colour>> = { advertised: "green", draining: "yellow", withdrawn: "red" };

/** One line for `rhumb status`; undefined where nothing is configured. */
export function anycastLine({ isConfigured, exabgp, guard, peers, prefixes }: AnycastView): string | undefined {
  if (!isConfigured) return undefined;
  const up = peers.filter(({ isEstablished }) => isEstablished).length;
  const routes = prefixes.map(({ prefix, phase }) => `${plain(prefix)} ${paint(phase, COLOURS[phase] ?? "yellow")}`);
  const faults = [
    ...(exabgp.isAnswering ? [] : [`ExaBGP does not answer (${plain(exabgp.says)})`]),
    ...(guard.isReading === false ? ["no guard"] : []),
  ].map((text) => paint(text, "red"));
  return `bgp   ${[...routes, `${up} of ${countText(peers.length, "session")}`, ...faults].join(", ")}`;
}

function anycastText(view: AnycastView, nowMs: number): string {
  if (!view.isConfigured) return "This node announces nothing: its rhumb.yaml has no section `anycast:`";
  const ago = (atMs: number): string => `${formatSpan(Math.max(0, nowMs - atMs))} ago`;
  const fault = (isGood: boolean | null, text: string): string =>
    isGood === false ? paint(plain(text), "red") : plain(text);
  const { exabgp, guard, selfCheck, peers, prefixes } = view;
  const rows = prefixes.map(({ prefix, phase, sinceMs, heldUntilMs, flaps, advertisers, says }): Cell[] => [
    prefix,
    { text: phase, colour: COLOURS[phase] ?? "yellow" },
    ago(sinceMs),
    heldUntilMs === null ? "-" : `for ${formatSpan(Math.max(0, heldUntilMs - nowMs))}`,
    String(flaps),
    advertisers.join(" ") || "nobody",
    says,
  ]);
  const sessions = peers.map(({ neighbour, asn, isEstablished, upSinceMs }): Cell[] => [
    neighbour,
    asn === null ? "-" : `AS${asn}`,
    isEstablished ? { text: "established", colour: "green" } : { text: "down", colour: "red" },
    upSinceMs === null ? "-" : ago(upSinceMs),
  ]);
  return [
    `exabgp      ${fault(exabgp.isAnswering, exabgp.says)}`,
    `guard       ${fault(guard.isReading, guard.says)}`,
    ...(selfCheck
      ? [
          `self-check  ${fault(selfCheck.isOk, `${selfCheck.says}, since ${formatSpan(Math.max(0, nowMs - selfCheck.sinceMs))}`)}`,
        ]
      : []),
    "",
    table(["PREFIX", "PHASE", "SINCE", "HELD", "FLAPS", "ANNOUNCED BY", "WHY"], rows),
    ...(sessions.length === 0 ? [] : ["", table(["ROUTER", "AS", "SESSION", "SINCE"], sessions)]),
  ].join("\n");
}

export function anycastCommand(): Command {
  const group = new Command("anycast").description("what this node announces by BGP, and how it is taken away");
  group.addHelpText("after", "\nExample:\n  rhumb anycast show");
  const tell = (view: AnycastView, options: ApiOptions): void =>
    options.json ? sayJson(view) : say(anycastText(view, Date.now()));
  group.addCommand(
    apiCommand("show", "prefixes, sessions, the guard, and who else announces", "rhumb anycast show").action(
      async (options: ApiOptions) => tell((await clientFor(options).call("GET", "/anycast")) as AnycastView, options),
    ),
  );
  group.addCommand(
    apiCommand(
      "withdraw",
      "drain this node's prefixes and withdraw them; refused where too few other nodes announce them",
      'rhumb anycast withdraw --reason "router upgrade"',
    )
      .requiredOption("--reason <text>", "why; everybody sees it")
      .action(async ({ reason, ...options }: ApiOptions & { reason: string }) =>
        tell((await clientFor(options).call("POST", "/anycast/withdraw", { reason })) as AnycastView, options),
      ),
  );
  group.addCommand(
    apiCommand("announce", "end what `rhumb anycast withdraw` began", "rhumb anycast announce").action(
      async (options: ApiOptions) =>
        tell((await clientFor(options).call("POST", "/anycast/announce")) as AnycastView, options),
    ),
  );
  return group;
}
