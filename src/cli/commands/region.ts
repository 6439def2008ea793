/** `rhumb region`: leaving a region in order, and bringing it back. @module */
import { Command, InvalidArgumentError } from "commander";
import { parseDurationMs } from "#base/units.ts";
import { type ApiOptions, apiCommand, clientFor } from "#cli/command.ts";
import { type Cell, formatSpan, paint, plain, say, sayJson, table } from "#cli/output.ts";
import type { Evacuation, Region } from "#cli/shapes.ts";

const FOLLOW_MS = 1_000;

type EvacuateOptions = ApiOptions & {
  readonly reason: string;
  readonly force?: boolean;
  readonly weights?: number[];
  readonly wait?: number;
  readonly tailTimeout?: number;
  readonly drainTimeout?: number;
  readonly prefixes: boolean;
  readonly follow?: boolean;
};

const clock = (atMs: number): string => new Date(atMs).toISOString().slice(11, 19);
const percent = (share: number): string => `${Math.round(share * 1_000) / 10}%`;
const standing = ({ direction, step, weight, isStopped }: Evacuation): string =>
  [
    step === "serving" ? "serving" : `${direction === "leave" ? "leaves" : "returns"}: ${step}`,
    ...(step === "weight" ? [`${weight}%`] : []),
    ...(isStopped ? ["stopped"] : []),
  ].join(", ");

/** One line that changes while something moves. */
function nowLine(evacuation: Evacuation): string {
  const { region, says, startRps, nowRps, inFlight } = evacuation;
  const rps = nowRps === null ? "" : `, ${nowRps.toFixed(1)} of ${startRps?.toFixed(1) ?? "?"} requests per second`;
  const flight = inFlight === null ? "" : `, ${inFlight} under way`;
  return `${paint(plain(region), "bold")} ${standing(evacuation)}${rps}${flight}: ${plain(says)}`;
}
const historyLine = ({ atMs, step, says }: Evacuation["history"][number]): string =>
  `${clock(atMs)}  ${step.padEnd(9)}  ${plain(says)}`;

function statusText(evacuation: Evacuation): string {
  const { owner, leader, reason, startedAtMs, curve, history } = evacuation;
  const points = curve.map(({ afterSeconds, share }) => `${afterSeconds} s ${percent(share)}`).join(", ");
  return [
    nowLine(evacuation),
    `begun ${formatSpan(Date.now() - startedAtMs)} ago by ${plain(owner)} (${plain(reason)}), led by ${plain(leader)}`,
    ...(points === "" ? [] : [`requests left after weight 0: ${points}`]),
    ...history.map(historyLine),
  ].join("\n");
}

/** Whether nothing moves any more by itself. */
const isAtRest = ({ step, isStopped }: Evacuation): boolean => step === "serving" || step === "evacuated" || isStopped;

/** Prints what is new each second, until the region serves, is evacuated, or stands. */
async function follow(options: ApiOptions, region: string): Promise<void> {
  const client = clientFor(options);
  let lastAtMs = 0;
  let lastLine = "";
  for (;;) {
    const evacuation = (await client.call("GET", `/evacuations/${encodeURIComponent(region)}`)) as Evacuation;
    if (options.json) sayJson(evacuation);
    else {
      for (const entry of evacuation.history.filter(({ atMs }) => atMs > lastAtMs)) say(historyLine(entry));
      lastAtMs = evacuation.history.at(-1)?.atMs ?? lastAtMs;
      const line = nowLine(evacuation);
      if (line !== lastLine) say(line);
      lastLine = line;
    }
    if (isAtRest(evacuation)) return;
    await new Promise((resolve) => setTimeout(resolve, FOLLOW_MS));
  }
}

async function command(
  options: ApiOptions & { readonly follow?: boolean },
  region: string,
  verb: string,
  body?: object,
) {
  const url = `/regions/${encodeURIComponent(region)}/${verb}`;
  const evacuation = (await clientFor(options).call("POST", url, body)) as Evacuation;
  if (options.follow) return follow(options, region);
  if (options.json) return sayJson(evacuation);
  say(nowLine(evacuation));
  if (!isAtRest(evacuation)) say(`Watch it with: rhumb region status ${plain(region)} --follow`);
}

const duration = (text: string): number => {
  const ms = parseDurationMs(text);
  if (ms === undefined) throw new InvalidArgumentError("Write a duration such as 30s or 5m.");
  return ms;
};
const weights = (text: string): number[] => text.split(",").map(Number);

const withFollow = (name: string, summary: string, example: string): Command =>
  apiCommand(name, summary, example).option("--follow", "print what happens until it is done or stands");

export function regionCommand(): Command {
  const group = new Command("region").description("leave a region in order, and bring it back");
  group.addHelpText("after", '\nExample:\n  rhumb region evacuate eu-west --reason "kernel upgrade" --follow');
  group.addCommand(
    apiCommand("list", "all regions, and evacuations that are under way", "rhumb region list").action(
      async (options: ApiOptions) => {
        const client = clientFor(options);
        const [regions, evacuations] = (await Promise.all([
          client.call("GET", "/regions"),
          client.call("GET", "/evacuations"),
        ])) as [readonly Region[], readonly Evacuation[]];
        if (options.json) return sayJson({ regions, evacuations });
        const rows = regions.map(({ id, health, sharePercent }): Cell[] => {
          const evacuation = evacuations.find(({ region }) => region === id);
          const share = sharePercent === null ? "-" : `${sharePercent.toFixed(1)}%`;
          return [id, health.serving, share, evacuation ? standing(evacuation) : "-", evacuation?.says ?? "-"];
        });
        say(table(["REGION", "SERVING", "SHARE", "EVACUATION", "SAYS"], rows));
      },
    ),
  );
  group.addCommand(
    withFollow(
      "evacuate",
      "DNS weight to 0, wait for the tail, drain its balancers, withdraw its prefixes",
      'rhumb region evacuate eu-west --reason "kernel upgrade" --follow',
    )
      .argument("<region>")
      .requiredOption("--reason <text>", "why; everybody sees it")
      .option("--force", "while another evacuation runs, or where the others cannot carry it")
      .option("--weights <list>", "percent of its clients, step by step, such as 95,75,50,0 (default 50,0)", weights)
      .option("--wait <duration>", "between two weights (default: the longest ttl.max)", duration)
      .option("--tail-timeout <duration>", "for cached answers to run out (default: 5m at least)", duration)
      .option("--drain-timeout <duration>", "for balancers, and for prefixes (default 2m)", duration)
      .option("--no-prefixes", "leave its anycast prefixes announced")
      .action((region: string, options: EvacuateOptions) => {
        const { reason, force = false, wait, tailTimeout, drainTimeout, prefixes } = options;
        return command(options, region, "evacuate", {
          reason,
          force,
          ...(options.weights && { weights: options.weights }),
          ...(wait !== undefined && { weightWaitMs: wait }),
          ...(tailTimeout !== undefined && { tailTimeoutMs: tailTimeout }),
          ...(drainTimeout !== undefined && { drainTimeoutMs: drainTimeout }),
          ...(!prefixes && { withdraws: false }),
        });
      }),
  );
  group.addCommand(
    withFollow(
      "return",
      "the way back, from wherever it stands: prefixes, balancers, weights by a ramp",
      "rhumb region return eu-west --follow",
    )
      .argument("<region>")
      .action((region: string, options: ApiOptions) => command(options, region, "return")),
  );
  group.addCommand(
    apiCommand("stop", "let it stand where it is", "rhumb region stop eu-west")
      .argument("<region>")
      .action((region: string, options: ApiOptions) => command(options, region, "stop")),
  );
  group.addCommand(
    withFollow(
      "resume",
      "go on; also where the node that led it is gone: this one leads then",
      "rhumb region resume eu-west",
    )
      .argument("<region>")
      .option("--force", "wait no more for nodes that say nothing; prefixes that are not withdrawn stay")
      .action((region: string, options: ApiOptions & { force?: boolean }) =>
        command(options, region, "resume", { force: options.force ?? false }),
      ),
  );
  group.addCommand(
    withFollow("status", "steps, what it waits for, history and drain curve", "rhumb region status eu-west --follow")
      .argument("[region]")
      .action(async (region: string | undefined, options: ApiOptions & { follow?: boolean }) => {
        if (options.follow && region !== undefined) return follow(options, region);
        const path = region === undefined ? "/evacuations" : `/evacuations/${encodeURIComponent(region)}`;
        const found = await clientFor(options).call("GET", path);
        if (options.json) return sayJson(found);
        const all = (Array.isArray(found) ? found : [found]) as readonly Evacuation[];
        say(all.length === 0 ? "No region is being evacuated" : all.map(statusText).join("\n\n"));
      }),
  );
  return group;
}
