/**
 * What a backend of HAProxy says of HTTP → `hash`, `sticky` and `upstream` of its pool.
 * @module
 */
import { compact } from "#config/import/draft.ts";
import { lastOf, type ProxySection } from "#config/import/haproxy-proxy.ts";
import { HAPROXY_TIME, type Line } from "#config/import/haproxy-read.ts";
import type { Server } from "#config/import/haproxy-server.ts";
import { type Notes, quoted } from "#config/import/notes.ts";
import { DAY, durationText, parseTime, SECOND } from "#config/import/words.ts";

/** @returns what `balance` hashes; undefined: there is nothing like it */
export function hashOf({ words }: Line): unknown {
  const [, word = "", name] = words;
  if (word === "uri") return words.includes("whole") ? "uri" : "path";
  if (word === "url_param" && name !== undefined) return { query: name };
  const header = /^hdr\(([A-Za-z0-9-]+)\)$/.exec(word)?.[1];
  return header === undefined ? undefined : { header };
}

/** @returns undefined: there is no cookie, or it cannot be kept by us */
export function cookieOf(proxy: ProxySection, notes: Notes): Record<string, unknown> | undefined {
  const line = lastOf(proxy, "cookie");
  if (line === undefined) return undefined;
  const { words, at } = line;
  const [, name = "", ...options] = words;
  if (!options.includes("insert")) {
    notes.changed(
      at,
      "Cookies of the application are not rewritten; clients are kept by their address",
      "Write `sticky: { by: cookie }` for a cookie of its own",
    );
    return { by: "source" };
  }
  notes.changed(
    at,
    "The cookie is signed, and names the backend by a hash: those that clients have are given anew",
    "Write a secret of at least 24 characters into sticky.key beside rhumb.yaml, the same for all nodes",
  );
  const after = (word: string): string | undefined => {
    const index = options.indexOf(word);
    return index < 0 ? undefined : options[index + 1];
  };
  const lifeMs = parseTime(after("maxidle") ?? after("maxlife") ?? "", HAPROXY_TIME.units, 1_000);
  return compact({
    by: "cookie",
    cookie: compact({
      name,
      keys: { k1: "file:sticky.key" },
      secure: options.includes("secure") ? true : undefined,
      domain: after("domain")?.replace(/^\./, ""),
    }),
    ttl: lifeMs === undefined ? undefined : durationText(lifeMs, SECOND, 30 * DAY),
  });
}

/** TLS to servers, by what the first of them says. */
export function upstreamOf(servers: readonly Server[], notes: Notes): Record<string, unknown> | undefined {
  const first = servers.find(({ options }) => options.has("ssl"));
  if (first === undefined) return undefined;
  const told = (server: Server): string =>
    ["ssl", "verify", "ca-file", "crt", "sni"].map((word) => server.options.get(word) ?? "-").join(" ");
  for (const server of servers)
    if (told(server) !== told(first))
      notes.changed(
        { ...server.at, directive: "ssl" },
        `TLS is set for a pool as a whole; that of server ${quoted(first.name)} is taken`,
        "Make pools of servers that are alike",
      );
  const { options, at } = first;
  const sni = options.get("sni");
  const fixed = sni === undefined ? undefined : /^str\(([A-Za-z0-9.-]+)\)$/.exec(sni)?.[1];
  if (sni !== undefined && fixed === undefined)
    notes.changed(
      { ...at, directive: "sni" },
      "The host of each request is asked for",
      "Write `upstream: { tls: { serverName: … } }`",
    );
  const isVerified = options.get("verify") !== "none";
  const crt = options.get("crt");
  return {
    tls: {
      verify: isVerified,
      ...compact({ ca: isVerified ? options.get("ca-file") : undefined, cert: crt, key: crt, serverName: fixed }),
    },
  };
}
