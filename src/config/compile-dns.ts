/**
 * The `dns:` section → `DnsSnapshot`.
 * @module
 */
import { resolve } from "node:path";
import type { Problem } from "#base/problem.ts";
import type { CompileOptions } from "#config/compile.ts";
import type { ConfigFiles } from "#config/files.ts";
import type { DnsConfig } from "#dns/config.ts";
import type { DnsSnapshot } from "#state/snapshot.ts";
import type { ZoneImage } from "#state/zone-image.ts";

/** More UDP workers than this bring nothing on the machines that we measured. */
const MAX_AUTO_WORKERS = 8;

const apexText = (apex: Uint8Array): string => Buffer.from(apex).toString("latin1");

/** Readable form of a lower-case wire name, for messages. */
function readable(apex: Uint8Array): string {
  let text = "";
  for (let at = 0; apex[at]! > 0; at += apex[at]! + 1)
    text += `${apexText(apex.subarray(at + 1, at + 1 + apex[at]!))}.`;
  return text || ".";
}

/** Zones that serve now and whose file is gone: an accident, as far as we can know (docs/decisions/0008). */
function vanishedZones(previous: DnsSnapshot | undefined, images: readonly ZoneImage[]): Uint8Array[] {
  const present = new Set(images.map((image) => apexText(image.apex)));
  const before = [...(previous?.zones ?? []).map((image) => image.apex), ...(previous?.unloadableZones ?? [])];
  return before.filter((apex) => !present.has(apexText(apex)));
}

export function compileDns(
  dns: DnsConfig,
  node: string,
  files: ConfigFiles,
  images: readonly ZoneImage[],
  options: CompileOptions,
  problems: Problem[],
): DnsSnapshot {
  // A file that is there and has errors is not gone: it has its own problems, and nothing is applied.
  const isComplete = images.length === files.zones.length;
  const unloadableZones = isComplete ? vanishedZones(options.previous?.dns, images) : [];
  for (const apex of unloadableZones) {
    problems.push({
      file: files.root.file,
      line: 1,
      column: 1,
      path: "zones",
      severity: "warning",
      says: `The file of zone ${readable(apex)} is gone: its queries are answered SERVFAIL`,
      fix: "Put it back; if the zone is to go for good, restart after removing the delegation",
    });
  }
  const configured = dns.cookies.secrets.flatMap((reference) => {
    const secret = files.secrets.get(reference);
    return secret && "value" in secret ? [new Uint8Array(Buffer.from(secret.value, "hex"))] : [];
  });
  return {
    listen: Array.isArray(dns.listen) ? dns.listen : [dns.listen],
    engine: dns.engine,
    ...(dns.interface !== undefined && { interface: dns.interface }),
    workers: dns.workers === "auto" ? Math.min(MAX_AUTO_WORKERS, options.cores) : dns.workers,
    zones: images,
    unloadableZones,
    nsid: new TextEncoder().encode(dns.nsid ?? node),
    chaos: { version: dns.chaos.version ?? undefined, id: dns.chaos.id ?? undefined },
    ecs: dns.ecs,
    hashPrefix: dns.hashPrefix,
    tcp: {
      maxConnections: dns.tcp.maxConnections,
      maxConnectionsPerClient: dns.tcp.maxConnectionsPerClient,
      maxInFlight: dns.tcp.maxInFlight,
      maxOutputOctets: dns.tcp.maxOutput,
      idleMs: dns.tcp.idle,
      messageMs: dns.tcp.message,
      drainMs: dns.tcp.drain,
    },
    guard: {
      rrl: {
        isEnabled: dns.rrl.enabled,
        isDryRun: dns.rrl.dryRun,
        ratePerSecond: dns.rrl.rate,
        slip: dns.rrl.slip,
        tableSize: dns.rrl.tableSize,
        allow: dns.rrl.allow,
      },
      cookies: {
        isEnabled: dns.cookies.enabled,
        secrets: configured.length > 0 ? configured : [options.cookieSecret],
        badCookieUnderLimit: dns.cookies.badCookieUnderLimit,
      },
      admission: { isEnabled: dns.admission },
      access: dns.access,
    },
    queryLog: {
      every: dns.queryLog.every === "off" ? 0 : dns.queryLog.every,
      privacy: dns.queryLog.privacy,
      file: dns.queryLog.file === null ? undefined : resolve(files.folder, dns.queryLog.file),
    },
  };
}
