/**
 * `anycast:` → what `bgp/` is handed: its defaults filled in from the node's own roles; and its cross checks.
 * @module
 */
import { dirname, join, resolve } from "node:path";
import { cidrContains, parseCidr, parseIp } from "#base/ip.ts";
import type { ConfigFiles } from "#config/files.ts";
import type { ParsedConfig } from "#config/parse.ts";
import type { Report } from "#config/report.ts";
import { formatName } from "#dns/wire/name.ts";
import type { AnycastSpec } from "#state/anycast.ts";
import type { BalancerSnapshot } from "#state/balancer.ts";
import type { DnsSnapshot, ListenAddress } from "#state/snapshot.ts";

/** File name of the heartbeat's pipe, beside the pipes of ExaBGP. */
const HEARTBEAT_FILE = "rhumb.heartbeat";

type Socket = ListenAddress & { readonly kind: AnycastSpec["selfCheck"]["kind"] };

/** Sockets of this node that can be asked, the one that is asked by default first. */
function socketsOf(dns: DnsSnapshot | undefined, balancer: BalancerSnapshot | undefined): Socket[] {
  return [
    ...(dns?.listen ?? []).map((listen) => ({ ...listen, kind: "dns" as const })),
    ...(balancer?.listeners ?? [])
      .filter(({ protocol }) => protocol !== "udp")
      .map(({ listen: { address, port }, protocol }) => ({
        address,
        port,
        kind: protocol === "http" ? ("http" as const) : ("tcp" as const),
      })),
  ];
}

const isAny = (address: string): boolean => address === "0.0.0.0" || address === "::";

/** @returns undefined without the section, or where there is no socket to check: that is reported */
export function compileAnycast(
  { root }: ParsedConfig,
  files: ConfigFiles,
  dns: DnsSnapshot | undefined,
  balancer: BalancerSnapshot | undefined,
  report: Report,
): AnycastSpec | undefined {
  const { anycast, source } = root;
  if (!anycast) return undefined;
  const { exabgp, selfCheck: check, drain, holdDown } = anycast;
  const seen = new Set<string>();
  for (const [index, { prefix }] of anycast.prefixes.entries()) {
    if (seen.has(prefix))
      report(source, ["anycast", "prefixes", index, "prefix"], `${prefix} is there twice`, "Remove one of them");
    seen.add(prefix);
  }
  const cidrs = anycast.prefixes.map(({ prefix }) => parseCidr(prefix)!);
  const isAnnounced = ({ address }: ListenAddress): boolean => {
    const bytes = parseIp(address);
    return bytes !== undefined && cidrs.some((cidr) => cidrContains(cidr, bytes));
  };
  const own = socketsOf(dns, balancer);
  const fitting = own.filter(({ kind }) => check.kind === undefined || kind === check.kind);
  const found = check.listen ?? fitting.find(isAnnounced) ?? fitting[0];
  if (!found) {
    const kind = check.kind === undefined ? "" : ` that speaks ${check.kind}`;
    report(
      source,
      ["anycast"],
      `This node has no socket${kind} whose serving could be checked: nothing would be announced`,
      "Add `dns:` or a listener of `balancer:`, or name the socket in `selfCheck.listen`",
      { want: "key" },
    );
    return undefined;
  }
  const known = own.find(({ address, port }) => address === found.address && port === found.port);
  const kind = check.kind ?? known?.kind ?? "tcp";
  if (!own.some((socket) => isAnnounced(socket) || isAny(socket.address)))
    report(
      source,
      ["anycast", "prefixes"],
      "No listener of this node is within the prefixes: traffic that they draw would find nobody",
      "Listen on the address, which lies on the loopback interface, or on 0.0.0.0 or [::]",
      { severity: "warning" },
    );
  const apex = dns?.zones[0]?.apex;
  return {
    exabgp: {
      in: resolve(files.folder, exabgp.in),
      out: resolve(files.folder, exabgp.out),
      heartbeatPath: resolve(files.folder, exabgp.heartbeatPath ?? join(dirname(exabgp.in), HEARTBEAT_FILE)),
      heartbeatMs: exabgp.heartbeat,
    },
    prefixes: anycast.prefixes.map((entry) => ({ ...entry, med: entry.med })),
    selfCheck: {
      kind,
      // A socket that listens everywhere is asked where it is nearest.
      address: found.address === "0.0.0.0" ? "127.0.0.1" : found.address === "::" ? "::1" : found.address,
      port: found.port,
      path: check.path ?? (kind === "http" ? "/" : kind === "dns" && apex ? formatName(apex) : ""),
      intervalMs: check.interval,
      timeoutMs: check.timeout,
      downMs: check.down,
      upMs: check.up,
    },
    drain: { prepend: drain.prepend, waitMs: drain.wait },
    holdDown: { baseMs: holdDown.base, halfLifeMs: holdDown.halfLife, capMs: holdDown.cap },
  };
}
