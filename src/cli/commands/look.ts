/** `rhumb status`, `explain`, `events`: looking at a running node. @module */

import type { Command } from "commander";
import { endpointText } from "#base/ip.ts";
import { countText } from "#base/units.ts";
import { type ApiOptions, apiCommand, clientFor, type Exit } from "#cli/command.ts";
import { anycastLine } from "#cli/commands/anycast.ts";
import { follow } from "#cli/follow.ts";
import { type Cell, type Colour, formatSpan, paint, plain, say, sayJson, table } from "#cli/output.ts";
import type { Event, Explanation, Region, RegionLoad, Service, Status, Vantage, Vote } from "#cli/shapes.ts";
import { xdpLines } from "#cli/xdp-lines.ts";
import type { AnycastView } from "#state/anycast.ts";

const COLOURS: Readonly<Record<string, Colour>> = {
  up: "green",
  down: "red",
  drain: "yellow",
  held: "yellow",
  unknown: "yellow",
};
const SEVERITIES: Readonly<Record<string, Colour>> = { alarm: "red", warning: "yellow", resolved: "green" };
const state = (text: string, shown = text): Cell => ({ text: shown, colour: COLOURS[text] });

function regionRow({ id, sharePercent, health }: Region, nowMs: number): Cell[] {
  const notes = [
    health.isStale && "stale",
    health.isLowConfidence && "low confidence",
    health.rampPercent < 100 && `ramp ${health.rampPercent}%`,
    health.awaitsApproval && "awaits approval",
  ].filter((note) => note !== false);
  const { override, nextFlipAtMs: flipAtMs } = health;
  return [
    id,
    state(health.serving),
    state(health.verdict, [health.verdict, ...notes].join(", ")),
    health.sinceMs === null ? "-" : `${formatSpan(nowMs - health.sinceMs)} ago`,
    flipAtMs === null ? "-" : flipAtMs <= nowMs ? "any moment" : `in ${formatSpan(flipAtMs - nowMs)}`,
    health.rttMs === null ? "-" : `${health.rttMs.toFixed(1)}ms`,
    sharePercent === null ? "-" : `${sharePercent.toFixed(1)}%`,
    override
      ? `${override.verb} by ${override.owner} ${override.untilMs === null ? "until cleared" : `for ${formatSpan(override.untilMs - nowMs)}`}: ${override.reason}`
      : "-",
  ];
}

/** Services that were asked for in the last minute: which regions their clients were given. */
function shareRows(services: readonly Service[]): Cell[][] {
  return services.flatMap(({ name, names, regions }) => {
    const shares = regions.flatMap(({ id, sharePercent }) => (sharePercent ? [{ id, sharePercent }] : []));
    shares.sort((a, b) => b.sharePercent - a.sharePercent);
    const text = shares.map(({ id, sharePercent }) => `${id} ${sharePercent.toFixed(1)}%`).join(", ");
    return shares.length === 0 ? [] : [[name, names.join(" ") || "-", text]];
  });
}

function balancerLines({ region, engine, workers, listeners, pools }: NonNullable<Status["balancer"]>): string[] {
  const where = listeners.map(
    ({ name, protocol, address, port }) => `${plain(name)} ${endpointText(address, port)} ${protocol}`,
  );
  const tls = engine && engine.tls.name !== engine.name ? `, TLS ${engine.tls.name} (${engine.tls.why})` : "";
  const how = engine ? `; engine ${engine.name} (${engine.why})${tls}, ${countText(workers, "worker")}` : "";
  const rows = pools.map(({ name, algorithm, healthy, backends, panic, active, queued }): Cell[] => [
    name,
    algorithm,
    {
      text: `${healthy} of ${backends}${panic ? ", panic: health is ignored" : ""}`,
      colour: healthy === 0 ? "red" : healthy < backends ? "yellow" : "green",
    },
    String(active),
    String(queued),
  ]);
  const head = ["POOL", "ALGORITHM", "HEALTHY", "CONNECTIONS", "QUEUED"];
  const balancer = `balancer of ${plain(region)}: ${where.join(", ") || "no listeners"}${how}`;
  return rows.length === 0 ? [balancer] : [balancer, "", table(head, rows)];
}

const NODE_COLOURS: Readonly<Record<string, Colour>> = {
  serves: "green",
  lags: "yellow",
  ahead: "yellow",
  silent: "red",
  refused: "red",
  apart: "red",
};
/** How each node stands to what was pushed; of a node that is alone there is something to say once something was. */
function nodeLines({ nodes, sharing }: Status): string[] {
  if (nodes.length < 2 && nodes.every(({ desired }) => desired === null)) return [];
  const rows = nodes.map(({ node, isOwn, state: stands, generation, desired, version, says }): Cell[] => [
    isOwn ? `${node} (this one)` : node,
    { text: stands, colour: NODE_COLOURS[stands] },
    desired ?? "-",
    generation ?? "-",
    version ?? "-",
    says || "-",
  ]);
  return ["", sharing.says, table(["NODE", "DESIRED", "VERSION", "GENERATION", "RHUMB", "SAYS"], rows)];
}

/** Who votes on regions, where there is more than one. */
function vantageLines(vantages: readonly Vantage[]): string[] {
  if (vantages.length < 2) return [];
  const rows = vantages.map(({ vantage, isOwn, isSound, silentMs, quarantine, votes }): Cell[] => [
    isOwn ? `${vantage} (this one)` : vantage,
    quarantine !== null
      ? { text: "quarantine", colour: "red" }
      : isSound
        ? "counts"
        : { text: "unsure", colour: "yellow" },
    isOwn ? "-" : silentMs === null ? "never" : `${formatSpan(silentMs)} ago`,
    `${votes.up} up, ${votes.down} down${votes.stale === 0 ? "" : `, ${votes.stale} stale`}`,
    quarantine ?? "-",
  ]);
  return ["", table(["VANTAGE", "STANDING", "HEARD", "VOTES", "WHY"], rows)];
}

/** The text of `rhumb status`. */
function statusText(
  status: Status,
  regions: readonly Region[],
  services: readonly Service[],
  vantages: readonly Vantage[],
  anycast: AnycastView,
  nowMs: number,
): string {
  const sockets = new Map<string, string[]>();
  for (const { address, port, transport } of status.listen) {
    const key = endpointText(address, port);
    sockets.set(key, [...(sockets.get(key) ?? []), transport]);
  }
  const lines = [
    `${paint(plain(status.node), "bold")}  rhumb ${status.version}, generation ${status.generation}, up ${formatSpan(status.uptimeSeconds * 1_000)}`,
  ];
  if (sockets.size > 0) {
    const engine = status.engine
      ? `; engine ${status.engine.name} (${status.engine.why}), ${status.workers.length} workers`
      : "";
    lines.push(
      `dns   ${[...sockets].map(([key, transports]) => `${key} ${transports.join("+")}`).join(", ")}${engine}`,
    );
  }
  if (status.engine?.xdp) lines.push(...xdpLines(status.engine.xdp));
  if (status.balancer) lines.push(...balancerLines(status.balancer));
  const announced = anycastLine(anycast);
  if (announced !== undefined) lines.push(announced);
  if (sockets.size > 0 || status.zones.length > 0)
    lines.push(
      `zones ${status.zones.map(({ apex, serial, problem }) => (problem === null ? `${apex} ${serial}` : paint(`${apex} not loaded: ${plain(problem)}`, "red"))).join(", ") || "none"}`,
    );
  const database = status.geo?.database;
  if (database) {
    const age = database.builtAtMs === null ? "" : `, built ${formatSpan(nowMs - database.builtAtMs)} ago`;
    lines.push(
      `geo   ${plain(database.file)}${age}${database.problem === null ? "" : paint(` (${plain(database.problem)})`, "red")}`,
    );
  }
  if (status.queries) {
    const rate = status.queries.perSecond === null ? "" : `, ${status.queries.perSecond.toFixed(1)}/s`;
    lines.push(`load  ${status.queries.total} queries${rate}`);
  }
  const head = ["REGION", "SERVING", "VERDICT", "SINCE", "NEXT CHANGE", "RTT", "SHARE", "OVERRIDE"];
  const rows = regions.map((region) => regionRow(region, nowMs));
  if (regions.every(({ sharePercent }) => sharePercent === null)) {
    for (const row of [head, ...rows]) row.splice(6, 1); // a column of dashes says nothing
  }
  if (rows.length > 0) lines.push("", table(head, rows));
  const shares = shareRows(services);
  if (shares.length > 0) lines.push("", table(["SERVICE", "NAMES", "ANSWERS OF THE LAST MINUTE"], shares));
  lines.push(...vantageLines(vantages), ...nodeLines(status));
  if (status.alarms.length > 0) {
    lines.push("", paint("ALARMS", "bold"));
    for (const { severity, says, subject, sinceMs } of status.alarms) {
      lines.push(
        `${paint(severity.padEnd(7), SEVERITIES[severity])}  ${plain(says)} (${plain(subject)}, ${formatSpan(nowMs - sinceMs)} ago)`,
      );
    }
  }
  return lines.join("\n");
}

function voteText({ voter, isUp, state, standing, ageMs, says }: Vote): string {
  const words = [says, `${formatSpan(ageMs)} ago`, standing === "counts" ? "" : standing].filter((word) => word !== "");
  const opinion = state === (isUp ? "up" : "down") ? state : `${isUp ? "up" : "down"} (${state})`;
  return `${voter} ${opinion}, ${words.join(", ")}`;
}

function loadText({ measuredRps, capacityRps, predictedPercent, effectivePercent, balancers }: RegionLoad): string {
  const rate = `${(measuredRps ?? 0).toFixed(0)}${capacityRps === null ? "" : ` of ${capacityRps}`} requests/s`;
  const percent = predictedPercent === null ? "" : `, ${predictedPercent} % to come, steered as ${effectivePercent} %`;
  const reports = balancers.map(
    ({ node, ageMs, isSilent }) =>
      `${node} ${isSilent ? "silent for" : "reported before"} ${(ageMs / 1_000).toFixed(0)} s`,
  );
  return `${rate}${percent}; ${reports.join(", ")}`;
}

/** The text of `rhumb explain`. */
function explainText(explanation: Explanation): string {
  const { name, type, from, client, service, steps, ttl, scope } = explanation;
  const lines = [
    `${paint(plain(`${name} ${type}`), "bold")} from ${plain(from)}: ${explanation.rcode}`,
    plain(explanation.says),
    "",
  ];
  const facts: [string, string][] = [["generation", explanation.generation]];
  if (service !== null) facts.push(["service", service]);
  if (client) {
    const by = client.override === null ? "" : `, by override ${client.override}`;
    facts.push(["client", `${client.label}${client.network === null ? "" : `, as ${client.network}`}${by}`]);
  }
  if (ttl) facts.push(["ttl", `${ttl.seconds}s: ${ttl.says}`]);
  if (scope) facts.push(["scope", `/${scope.bits}: ${scope.says}`]);
  for (const { id, says, cause, override } of explanation.regions) {
    // What is up, or taken for it, needs no words.
    if (override !== null) {
      const until = override.untilMs === null ? "cleared" : new Date(override.untilMs).toISOString();
      facts.push(["region", `${id}: ${says}, by ${override.owner} until ${until}: ${override.reason}`]);
    } else if (!/^up( \(not yet probed\))?$/.test(says))
      facts.push(["region", `${id}: ${says}${cause === null ? "" : ` (${cause})`}`]);
  }
  for (const { addresses } of explanation.regions)
    for (const { target, verdict, isLowConfidence, quorum, votes } of addresses) {
      // One vote that all follow is told by the region's own line.
      if (votes.length < 2 && votes.every(({ isUp }) => isUp === (verdict !== "down"))) continue;
      const wanted = quorum === null ? "" : `, ${countText(quorum, "vote")} wanted`;
      facts.push([
        "votes",
        `${target} ${verdict}${isLowConfidence ? " (low confidence)" : ""}${wanted}: ${votes.map(voteText).join("; ")}`,
      ]);
    }
  for (const { id, load } of explanation.regions) if (load !== null) facts.push(["load", `${id} ${loadText(load)}`]);
  for (const [key, value] of facts) lines.push(`${key.padEnd(11)} ${plain(value)}`);
  if (explanation.isFailOpen)
    lines.push(paint("fail open   targets that are down are answered, because nothing better is left", "yellow"));
  if (steps.length > 0) {
    const rows = steps.map(({ filter, after, says }) => [filter, after.join(" ") || "none", says]);
    lines.push("", table(["FILTER", "LEFT", "WHY"], rows));
  }
  lines.push("", ...(explanation.answer.length > 0 ? explanation.answer : explanation.authority).map(plain));
  return lines.join("\n");
}

const eventLine = ({ atMs, severity, subject, says }: Event): string =>
  `${new Date(atMs).toISOString()}  ${paint(severity.padEnd(8), SEVERITIES[severity])}  ${plain(subject)}  ${plain(says)}`;

export function lookCommands(exit: Exit): Command[] {
  const status = apiCommand(
    "status",
    "what the node runs and serves: regions, next changes, overrides, alarms",
    "rhumb status",
  ).action(async (options: ApiOptions) => {
    const client = clientFor(options);
    const [answer, regions, services, vantages, anycast] = (await Promise.all(
      ["/status", "/regions", "/services", "/vantages", "/anycast"].map((path) => client.call("GET", path)),
    )) as [Status, Region[], Service[], Vantage[], AnycastView];
    if (options.json) sayJson({ ...answer, regions, services, vantages, anycast });
    else say(statusText(answer, regions, services, vantages, anycast, Date.now()));
  });

  const explain = apiCommand(
    "explain",
    "why a client gets the answer it gets, filter by filter",
    "rhumb explain www.demo.example A --from 203.0.113.0/24\nrhumb explain www.demo.example --from 198.51.100.7 --at 2027-01-01T00:00:00Z",
  )
    .argument("<name>", "domain name")
    .argument("[type]", "record type", "A")
    .requiredOption("--from <net>", "the client: network as ECS carries it, or address")
    .option("--resolver <address>", "the resolver that asks for it; without one the client asks directly")
    .option("--at <time>", "time of the answer: RFC 3339 or Unix ms; default now")
    .action(
      async (name: string, type: string, options: ApiOptions & { from: string; resolver?: string; at?: string }) => {
        const { from, resolver, at } = options;
        const query = new URLSearchParams({
          name,
          type,
          from,
          ...(resolver ? { resolver } : {}),
          ...(at ? { at } : {}),
        });
        const answer = (await clientFor(options).call("GET", `/explain?${query}`)) as Explanation;
        if (options.json) sayJson(answer);
        else say(explainText(answer));
      },
    );

  const events = apiCommand("events", "what happened lately; with --follow as it happens", "rhumb events --follow")
    .option("-f, --follow", "go on with new events until interrupted; comes back after a restart of the node")
    .action(async (options: ApiOptions & { follow?: boolean }) => {
      const client = clientFor(options);
      const list = (await client.call("GET", "/events")) as Event[];
      const show = (event: Event): void => say(options.json ? JSON.stringify(event) : eventLine(event));
      if (options.json && !options.follow) return sayJson(list);
      for (const event of list) show(event);
      if (!options.follow) return;
      await follow(client, "/events", list.at(-1)?.id, exit, (event) => show(event as Event));
    });

  return [status, explain, events];
}
