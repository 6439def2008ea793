/**
 * Cross checks of regions, their checks, and what operators say of places.
 * @module
 */

import { hashText } from "#base/hash.ts";
import { cidrContains, parseCidr, parseIp } from "#base/ip.ts";
import { unusableReason } from "#config/address.ts";
import { regionPort } from "#config/compile-health.ts";
import type { ConfigFiles } from "#config/files.ts";
import type { ParsedConfig } from "#config/parse.ts";
import type { Report } from "#config/report.ts";
import { suggest } from "#config/suggest.ts";
import type { Path } from "#config/yaml.ts";
import type { CheckConfig } from "#health/config.ts";
import type { TargetSpec } from "#state/snapshot.ts";

/** Prefixes that an `anycast:` section announces, also where the section as a whole is refused. */
function anycastPrefixes(root: unknown) {
  const prefixes = (root as { anycast?: { prefixes?: unknown } } | null | undefined)?.anycast?.prefixes;
  return (Array.isArray(prefixes) ? prefixes : []).flatMap((entry: unknown) => {
    const text = typeof entry === "string" ? entry : (entry as { prefix?: unknown } | null)?.prefix;
    const cidr = typeof text === "string" ? parseCidr(text) : undefined;
    return cidr ? [{ cidr, text: String(text) }] : [];
  });
}

function checkRegions(parsed: ParsedConfig, report: Report): void {
  const { source, valid } = parsed.regions;
  const anycast = anycastPrefixes(parsed.root.source.value);
  const owners = new Map<string, string>();
  const hashes = new Map<number, string>();
  for (const [id, region] of valid) {
    if (region.v4.length + region.v6.length === 0)
      report(source, [id], `Region ${JSON.stringify(id)} has no address`, "Add `v4:` or `v6:` with at least one", {
        want: "key",
      });
    const twin = hashes.get(hashText(id));
    if (twin !== undefined)
      report(
        source,
        [id],
        `The names ${JSON.stringify(id)} and ${JSON.stringify(twin)} have the same hash`,
        "Rename one of them",
        { want: "key" },
      );
    hashes.set(hashText(id), id);
    const check = region.check === undefined ? undefined : parsed.checks.get(region.check);
    if (check && check.value.kind !== "script" && regionPort(check.value) === undefined)
      report(
        check.source,
        ["kind"],
        `Region ${JSON.stringify(id)} uses this check, which says no port; there is no standard one for ${check.value.kind}`,
        "Add `port:`; only checks of backends know the port by themselves",
      );
    if (region.check !== undefined && !parsed.checkNames.has(region.check))
      report(
        source,
        [id, "check"],
        `There is no check ${JSON.stringify(region.check)}`,
        suggest(region.check, [...parsed.checkNames], "check"),
      );
    for (const family of ["v4", "v6"] as const) {
      for (const [index, address] of region[family].entries()) {
        const path = [id, family, index];
        const reason = unusableReason(address);
        if (reason) report(source, path, `${address} ${reason}`, "Write the address that clients connect to");
        const owner = owners.get(address);
        if (owner === id) report(source, path, `${address} stands here a second time`, "Keep one of the two");
        else if (owner !== undefined)
          report(
            source,
            path,
            `${address} is also an address of ${JSON.stringify(owner)}: their health cannot differ`,
            "Give each region its own addresses",
            { severity: "warning" },
          );
        owners.set(address, id);
        const prefix =
          region.check === undefined ? undefined : anycast.find(({ cidr }) => cidrContains(cidr, parseIp(address)!));
        if (prefix)
          report(
            source,
            path,
            `The check would probe ${address}, which lies in the anycast prefix ${prefix.text}: it would reach the nearest region, not this one`,
            "Give the region a unicast address for its check",
          );
      }
    }
  }
}

/** What no schema can say of a check alone. */
export function checkOne(check: CheckConfig, say: (path: Path, says: string, fix: string) => void): void {
  if (check.timeout > check.interval)
    say(
      ["timeout"],
      `\`timeout\` (${check.timeout} ms) is longer than \`interval\` (${check.interval} ms)`,
      "Make it shorter: probes of one target do not overlap",
    );
  const { ramp } = check.failback;
  if (ramp.at(-1) !== 100 || ramp.some((step, index) => index > 0 && step <= ramp[index - 1]!))
    say(
      ["failback", "ramp"],
      `The ramp ${ramp.join(", ")} does not rise to 100`,
      "Write rising steps that end at 100, such as [10, 25, 50, 100]",
    );
  if (check.kind === "grpc" && check.service.startsWith("/"))
    say(
      ["service"],
      `${JSON.stringify(check.service)} is not a service name`,
      "Write package.Service, without a slash",
    );
}

function checkChecks(parsed: ParsedConfig, files: ConfigFiles, report: Report): void {
  const pools = [...(parsed.root.balancer?.pools.valid.values() ?? [])];
  const used = new Set<unknown>([...parsed.regions.valid.values(), ...pools].map(({ check }) => check));
  for (const [name, { source, value }] of parsed.checks) {
    if (!used.has(name))
      report(
        source,
        [],
        `${parsed.root.balancer ? "No region and no pool" : "No region"} uses the check ${JSON.stringify(name)}`,
        `Write \`check: ${name}\` into a region${parsed.root.balancer ? " or a pool" : ""}, or remove the file`,
        { severity: "warning" },
      );
    checkOne(value, (path, says, fix) => report(source, path, says, fix));
    if (value.kind === "script") {
      const script = files.scripts.get(value.file);
      if (script && "fault" in script) report(source, ["file"], `Cannot use the program: ${script.fault}`, script.fix);
    }
  }
}

function checkGeoOverrides(parsed: ParsedConfig, report: Report): void {
  const seen = new Map<string, number>();
  for (const [index, { source, path, value }] of parsed.geoOverrides.entries()) {
    const whom = [value.network, value.asn, value.country].filter((word) => word !== undefined);
    if (whom.length !== 1)
      report(
        source,
        path,
        whom.length === 0
          ? "The override does not say whom it is about"
          : "The override is about several things at once",
        "Give exactly one of network, asn, country",
      );
    if (!value.as && !value.regions)
      report(source, path, "The override says nothing about these clients", "Add `as:` or `regions:`");
    if (value.as && Object.values(value.as).every((word) => word === undefined))
      report(source, [...path, "as"], "`as` is empty", "Give continent, country or at");
    const key = `${value.network !== undefined ? "network" : value.asn !== undefined ? "asn" : "country"} ${whom.join(" ")}`;
    if (whom.length === 1 && seen.has(key)) report(source, path, `A second override for ${key}`, "Keep one of the two");
    seen.set(key, index);
    for (const [at, region] of (value.regions ?? []).entries()) {
      if (!parsed.regions.has(region))
        report(
          source,
          [...path, "regions", at],
          `There is no region ${JSON.stringify(region)}`,
          suggest(region, [...parsed.regions.names], "region"),
        );
    }
  }
}

/** `*` any text, `?` one character. */
function globMatches(glob: string, text: string): boolean {
  const pattern = glob
    .replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replace(/\*+/g, ".*")
    .replace(/\?/g, ".");
  return new RegExp(`^${pattern}$`).test(text);
}

function checkHealthOverrides(
  parsed: ParsedConfig,
  backends: readonly TargetSpec[],
  nowMs: number,
  report: Report,
): void {
  const regions = [...parsed.regions.valid].flatMap(([id, region]) => [
    `region/${id}`,
    ...[...region.v4, ...region.v6].map((address) => `region/${id}/${address}`),
  ]);
  const targets = [...regions, ...backends.map(({ id }) => id)];
  for (const { source, path, value } of parsed.healthOverrides) {
    const glob = value.target.includes("/") ? value.target : `region/${value.target}`;
    if (!targets.some((target) => globMatches(glob, target))) {
      const isBackend = glob.startsWith("backend/");
      const names = isBackend
        ? backends.map(({ id }) => id)
        : [...parsed.regions.names].map((name) => `region/${name}`);
      report(
        source,
        [...path, "target"],
        `${JSON.stringify(value.target)} matches no target`,
        suggest(glob, names, isBackend ? "backend" : "region"),
        { severity: "warning" },
      );
    }
    if (value.until <= nowMs)
      report(source, [...path, "until"], "The override has ended", "Remove it, or set a later time", {
        severity: "warning",
      });
  }
}

/**
 * Regions, checks and overrides, taken together.
 *
 * @param backends that overrides may be about
 */
export function checkPlaces(
  parsed: ParsedConfig,
  files: ConfigFiles,
  backends: readonly TargetSpec[],
  nowMs: number,
  report: Report,
): void {
  checkRegions(parsed, report);
  checkChecks(parsed, files, report);
  checkGeoOverrides(parsed, report);
  checkHealthOverrides(parsed, backends, nowMs, report);
}
