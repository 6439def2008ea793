/** `rhumb cache`, `rhumb rule`, `rhumb certificate`: what a balancer does with HTTP and TLS. @module */
import { Command } from "commander";
import { countText } from "#base/units.ts";
import { type ApiOptions, apiCommand, clientFor, wrongUse } from "#cli/command.ts";
import { type Cell, formatSpan, say, sayJson, table } from "#cli/output.ts";
import type { Cache, Certificates, Rule } from "#cli/shapes.ts";

const MIB = 1_048_576;
/** Ends within so long are shown in yellow: authorities renew 30 days before. */
const SOON_MS = 21 * 86_400_000;

const mebibytes = (octets: number): string => `${(octets / MIB).toFixed(1)} MiB`;

function cacheRow({ store, objects, octets, max_octets, hits, stale, misses, evicted }: Cache): Cell[] {
  const asked = hits + misses;
  return [
    store,
    String(objects),
    `${mebibytes(octets)} of ${mebibytes(max_octets)}`,
    asked === 0 ? "-" : `${((hits / asked) * 100).toFixed(1)}%`,
    String(hits),
    String(stale),
    String(misses),
    String(evicted),
  ];
}

type PurgeOptions = ApiOptions & { store?: string; url?: string; prefix?: string; tag?: string; all?: boolean };

export function cacheCommand(): Command {
  const group = new Command("cache").description("the HTTP cache of the balancer");
  group.addHelpText("after", "\nExample:\n  rhumb cache status");
  group.addCommand(
    apiCommand("status", "what the cache holds and how often it could answer, by store", "rhumb cache status").action(
      async (options: ApiOptions) => {
        const all = (await clientFor(options).call("GET", "/cache")) as Cache[];
        if (options.json) return sayJson(all);
        if (all.length === 0) return say("nothing is cached: no rule with a cache has had a request");
        say(table(["STORE", "OBJECTS", "MEMORY", "HIT RATE", "HITS", "STALE", "MISSES", "EVICTED"], all.map(cacheRow)));
      },
    ),
  );
  group.addCommand(
    apiCommand(
      "purge",
      "drop responses from the cache of all workers; of several options all must hold",
      "rhumb cache purge --url http://www.example.net/news\nrhumb cache purge --prefix http://www.example.net/static/\nrhumb cache purge --store pages --tag front\nrhumb cache purge --all",
    )
      .option("--store <name>", "of this store")
      .option("--url <url>", "this URL, exactly, query included: all of its variants")
      .option("--prefix <text>", "URLs that begin so")
      .option("--tag <tag>", "responses with this Surrogate-Key or Cache-Tag")
      .option("--all", "everything")
      .action(async ({ store, url, prefix, tag, all, ...options }: PurgeOptions) => {
        const given = Object.entries({ store, url, prefix, tag }).filter(([, value]) => value !== undefined);
        if ((all === true) !== (given.length === 0))
          wrongUse("say what to purge: --store, --url, --prefix and --tag, or --all alone");
        const body = all ? { all } : Object.fromEntries(given);
        const answer = (await clientFor(options).call("POST", "/cache/purge", body)) as { purged: number };
        if (options.json) sayJson(answer);
        else say(`Purged ${countText(answer.purged, "response")}`);
      }),
  );
  return group;
}

export function ruleCommand(): Command {
  const group = new Command("rule").description("rules of HTTP listeners");
  group.addHelpText("after", "\nExample:\n  rhumb rule list");
  group.addCommand(
    apiCommand("list", "rules in the order in which they are asked", "rhumb rule list --listener web")
      .option("--listener <name>", "of this listener alone")
      .action(async (options: ApiOptions & { listener?: string }) => {
        const query = options.listener === undefined ? "" : `?listener=${encodeURIComponent(options.listener)}`;
        const all = (await clientFor(options).call("GET", `/rules${query}`)) as Rule[];
        if (options.json) return sayJson(all);
        if (all.length === 0) return say("no rules");
        const rows = all.map(({ listener, order, name, match, action, guards, mirror, cache, compression }): Cell[] => [
          listener,
          String(order),
          name,
          match.join(", ") || "everything",
          action.says,
          guards.join(" ") || "-",
          [
            ...(mirror === null ? [] : [`mirror ${mirror.percent}% to ${mirror.pool}`]),
            ...(cache === null ? [] : [`cache ${cache}`]),
            ...(compression.length === 0 ? [] : ["compression"]),
          ].join(", "),
        ]);
        say(table(["LISTENER", "#", "RULE", "MATCH", "ACTION", "GUARDS", "ALSO"], rows));
      }),
  );
  return group;
}

function endCell(end: string | null, nowMs: number): Cell {
  if (end === null) return { text: "none yet", colour: "red" };
  const leftMs = Date.parse(end) - nowMs;
  const text = leftMs <= 0 ? `${end.slice(0, 10)}: over` : `${end.slice(0, 10)}, in ${formatSpan(leftMs)}`;
  return { text, colour: leftMs <= 0 ? "red" : leftMs <= SOON_MS ? "yellow" : undefined };
}

export function certificateCommand(): Command {
  const group = new Command("certificate").description("certificates that the balancer serves");
  group.addHelpText("after", "\nExample:\n  rhumb certificate list");
  group.addCommand(
    apiCommand(
      "list",
      "certificates with their names and ends, and what ACME authorities said",
      "rhumb certificate list",
    ).action(async (options: ApiOptions) => {
      const answer = (await clientFor(options).call("GET", "/certificates")) as Certificates;
      if (options.json) return sayJson(answer);
      const { certificates, acme } = answer;
      const nowMs = Date.now();
      if (certificates.length === 0 && acme.length === 0) return say("no certificates");
      const served = certificates.map(({ listener, certificate, names, issuer, not_after, staple }): Cell[] => [
        listener,
        names.join(" "),
        issuer,
        endCell(not_after, nowMs),
        { text: staple, colour: staple === "missing" ? "yellow" : undefined },
        certificate,
      ]);
      say(table(["LISTENER", "NAMES", "ISSUER", "ENDS", "STAPLE", "CERTIFICATE"], served));
      if (acme.length === 0) return;
      const ordered = acme.map(({ domains, not_after, issued, failures, fault, next_at }): Cell[] => [
        domains.join(" "),
        endCell(not_after, nowMs),
        String(issued),
        String(failures),
        next_at,
        { text: fault ?? "", colour: "red" },
      ]);
      say(`\n${table(["ACME", "ENDS", "ISSUED", "FAILED", "NEXT ORDER", "FAULT"], ordered)}`);
    }),
  );
  return group;
}
