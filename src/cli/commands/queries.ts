/** `rhumb queries`, `classes`: who asks, and what they get. @module */
import type { Command } from "commander";
import { type ApiOptions, apiCommand, clientFor, type Exit, wrongUse } from "#cli/command.ts";
import { follow } from "#cli/follow.ts";
import { type Cell, complain, paint, plain, say, sayJson, table } from "#cli/output.ts";
import type { QueryLine, QueryList, ServiceClasses } from "#cli/shapes.ts";

/** One query of `rhumb queries`. */
function queryLine(query: QueryLine): string {
  const { atMs, transport, client, ecs, name, type, rcode, flags, regions, addresses, octets } = query;
  const whom = ecs === null ? client : `${client} for ${ecs.network}, scope /${ecs.scopeBits}`;
  const got = [...regions, ...addresses].join(" ") || (flags.includes("tc") ? "truncated" : "no address");
  const asked = name === null ? "no question" : `${name} ${type}`;
  const outcome = paint(rcode, rcode === "NOERROR" ? undefined : rcode === "NXDOMAIN" ? "yellow" : "red");
  const when = new Date(atMs).toISOString();
  return `${when}  ${transport}  ${plain(asked)}  ${outcome}  ${plain(got)}  (${plain(whom)}; ${octets} octets)`;
}

/** The text of `rhumb classes`. */
function classesText({ service, answers, classes }: ServiceClasses): string {
  if (classes.length === 0) return `No answers to ${plain(service)} yet`;
  const rows = classes.map((row): Cell[] => [
    row.label,
    String(row.answers),
    `${row.sharePercent.toFixed(1)}%`,
    row.regions.map(({ id, answers: of }) => `${id} ${((100 * of) / row.answers).toFixed(0)}%`).join(", ") || "-",
  ]);
  const shown = classes.reduce((total, row) => total + row.answers, 0);
  const rest = shown < answers ? `\n\n${answers - shown} more answers to other classes` : "";
  return table(["CLIENTS", "ANSWERS", "SHARE", "REGIONS"], rows) + rest;
}

type QueriesOptions = ApiOptions & {
  readonly follow?: boolean;
  readonly name?: string;
  readonly rcode?: string;
};

export function queryCommands(exit: Exit): Command[] {
  const queries = apiCommand(
    "queries",
    "sampled queries with their answers; needs `dns.queryLog` in rhumb.yaml and a token of the role operate",
    'rhumb queries --follow --rcode NXDOMAIN\nrhumb queries --name "*.demo.example" --json',
  )
    .option("-f, --follow", "go on with new ones until interrupted; comes back after a restart of the node")
    .option("--name <glob>", "only names like this one; * stands for any characters")
    .option("--rcode <rcode>", "only this response code, such as NXDOMAIN")
    .action(async (options: QueriesOptions) => {
      const { json, name, rcode } = options;
      const client = clientFor(options);
      const wanted = new URLSearchParams({ ...(name ? { name } : {}), ...(rcode ? { rcode } : {}) });
      const path = `/queries?${wanted}`;
      const list = (await client.call("GET", path)) as QueryList;
      if (json && !options.follow) return sayJson(list);
      const show = (query: QueryLine): void => say(json ? JSON.stringify(query) : queryLine(query));
      for (const query of list.queries) show(query);
      if (list.every === null)
        complain("The query log is off: set `dns.queryLog.every` in rhumb.yaml, such as 1000 for one in a thousand");
      if (!options.follow) return;
      await follow(client, path, list.queries.at(-1)?.id, exit, (event) => show(event as QueryLine));
    });

  const classes = apiCommand(
    "classes",
    "the classes of clients that a service answers most, and the regions they get",
    "rhumb classes www --top 10",
  )
    .argument("<service>", "name of the service")
    .option("--top <number>", "how many classes", "20")
    .action(async (service: string, options: ApiOptions & { top: string }) => {
      if (!/^[1-9][0-9]{0,3}$/.test(options.top)) wrongUse(`--top ${options.top}: give a number from 1 to 1000`);
      const path = `/services/${encodeURIComponent(service)}/classes?top=${options.top}`;
      const answer = (await clientFor(options).call("GET", path)) as ServiceClasses;
      if (options.json) sayJson(answer);
      else say(classesText(answer));
    });

  return [queries, classes];
}
