/**
 * `balancer.source` of rhumb.yaml → where the table is, and what is wrong with it.
 *
 * Never:   connects: `cluster/postgres/` does.
 * @module
 */
import { resolve } from "node:path";
import { isPostgresUrl } from "#cluster/postgres/config.ts";
import { isLoopback } from "#config/address.ts";
import type { Say } from "#config/check-balancer.ts";
import type { ConfigFiles } from "#config/files.ts";
import { parseRoot, type RootConfig } from "#config/parse.ts";
import { suggest } from "#config/suggest.ts";
import type { UpstreamSourceSpec } from "#state/upstreams.ts";

const PATH = ["balancer", "source"];

/** The URL with its password, where it can be used. */
function urlOf(reference: string, files: ConfigFiles): URL | undefined {
  const secret = files.secrets.get(reference);
  if (secret && "fault" in secret) return undefined;
  const text = secret?.value ?? reference;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return url && isPostgresUrl(url) ? url : undefined;
}

/** On this machine: by loopback, or by a socket's folder (`%2Frun%2Fpostgresql`). */
function isNear({ hostname }: URL): boolean {
  const host = decodeURIComponent(hostname).replace(/^\[|\]$/g, "");
  return host === "localhost" || host.startsWith("/") || isLoopback(host);
}

/** @param say takes paths from the root */
export function checkUpstreamSource(root: RootConfig, files: ConfigFiles, say: Say): void {
  const source = root.balancer?.settings?.source;
  if (!source) return;
  const at = [...PATH, "postgres"];
  const url = urlOf(source.postgres, files);
  if (!url) {
    const secret = files.secrets.get(source.postgres);
    if (secret && "value" in secret)
      say(
        at,
        "The secret is not a postgres:// URL with a host and a database",
        "Write postgres://USER:PASSWORD@HOST/DATABASE into it",
      );
  } else {
    if (url.username === "")
      say(at, "The URL names no user", "Write postgres://USER@HOST/DATABASE; docs/postgres.md has the user's rights");
    const mode = url.searchParams.get("sslmode");
    if (mode === "disable" && !isNear(url))
      say(at, `PostgreSQL at ${url.hostname} would be reached without TLS`, "Remove `sslmode=disable` from the URL");
    for (const key of url.searchParams.keys())
      if (key !== "sslmode" || !["disable", "verify-full"].includes(mode ?? ""))
        say(
          at,
          `The URL has \`${key}=…\`, which is not known here`,
          "Use `sslmode=disable` on loopback, or nothing: TLS is always verified. Authorities go to `ca:`",
        );
  }
  const known = [...(root.balancer?.pools.names ?? [])];
  for (const [index, pool] of source.pools.entries())
    if (!known.includes(pool))
      say([...PATH, "pools", index], `There is no pool ${JSON.stringify(pool)}`, suggest(pool, known, "pool"));
}

/** Undefined where the configuration has no source, or one that cannot be used. */
export function upstreamSourceOf(files: ConfigFiles): UpstreamSourceSpec | undefined {
  const { balancer } = parseRoot(files.root, []);
  const source = balancer?.settings?.source;
  const url = source && urlOf(source.postgres, files);
  if (!url) return undefined;
  return {
    url: url.href,
    usesTls: url.searchParams.get("sslmode") === "verify-full" || !isNear(url),
    table: source.table,
    pools: source.pools.length > 0 ? source.pools : [...balancer.pools.valid.keys()],
    caFile: source.ca === undefined ? undefined : resolve(files.folder, source.ca),
    refreshMs: source.refresh,
    writesBack: source.writeBack,
    isEmptyAllowed: source.allowEmpty,
  };
}
