/**
 * What the machine must be like: ports, the capability for low ones, clock, limits. Facts in, findings out; pure.
 *
 * Source:  capabilities(7), ip(7) for `ip_unprivileged_port_start`, socket(7) for `rmem_max`.
 * @module
 */
import { type Finding, ok, problem, warning } from "#app/doctor/finding.ts";
import { SOCKET_BUFFER_OCTETS } from "#dns/transport/udp.ts";

export type PortFacts = {
  readonly protocol: "udp" | "tcp";
  readonly address: string;
  readonly port: number;
  /** Where the configuration names it: `dns.listen`. */
  readonly setting: string;
  /** What came of trying to bind it; `other` with the system's own word in `says`. */
  readonly outcome: "free" | "busy" | "forbidden" | "absent" | "other";
  readonly says: string;
  readonly owner: { readonly pid: number; readonly name: string; readonly isRhumb: boolean } | undefined;
  /** The control API of the running node says that it listens there. */
  readonly isServed: boolean;
};

const where = ({ address, port, protocol }: PortFacts): string => `${address} port ${port}/${protocol}`;

export function judgePort(facts: PortFacts): Finding {
  const { outcome, owner, isServed, port, says, setting } = facts;
  if (isServed) return ok("port", `${where(facts)} is held by rhumb${owner?.isRhumb ? ` (pid ${owner.pid})` : ""}`);
  switch (outcome) {
    case "free":
      return ok("port", `${where(facts)} is free`);
    case "busy":
      if (owner?.isRhumb) return ok("port", `${where(facts)} is held by rhumb (pid ${owner.pid})`);
      if (!owner)
        return problem(
          "port",
          `${where(facts)} is held by a process that this user may not look into`,
          `Run \`sudo ss -lnp sport = :${port}\` to see whose it is; if it is another server, stop it or choose another address`,
        );
      return problem(
        "port",
        `${where(facts)} is held by ${owner.name} (pid ${owner.pid})`,
        owner.name === "systemd-resolve"
          ? `Write this machine's own address into \`${setting}\` instead of a wildcard, or set DNSStubListener=no in /etc/systemd/resolved.conf`
          : `Stop ${owner.name}, or choose another address or port in \`${setting}\``,
      );
    case "forbidden":
      // Whether the service's user may is the capability's finding; here only this user may not.
      return ok("port", `${where(facts)} was not tried: this user may not bind it`);
    case "absent":
      return problem(
        "port",
        `${facts.address} is not an address of this machine`,
        `Correct \`${setting}\`, or give the address to an interface; \`ip address\` shows what there is`,
      );
    case "other":
      return problem("port", `${where(facts)} cannot be bound: ${says}`, `Correct \`${setting}\``);
    default:
      return outcome satisfies never;
  }
}

export type PrivilegeFacts = {
  readonly ports: readonly number[];
  /** net.ipv4.ip_unprivileged_port_start */
  readonly firstFreePort: number;
  /** CAP_NET_BIND_SERVICE is in the effective set of this process. */
  readonly hasCapability: boolean;
  readonly isRoot: boolean;
  /** Some rhumb holds the port already. */
  readonly isServing: boolean;
  /** Text of the systemd unit, if one is installed. */
  readonly unit: string | undefined;
};

export function judgePrivilege(facts: PrivilegeFacts): Finding[] {
  const low = Math.min(...facts.ports);
  if (facts.ports.length === 0) return [];
  if (low === 0 || low >= facts.firstFreePort) return [ok("privilege", `Port ${low} needs no privilege here`)];
  if (facts.isServing) return [ok("privilege", `Port ${low} is held by rhumb already`)];
  if (unitGrants(facts.unit))
    return [ok("privilege", `rhumb.service grants CAP_NET_BIND_SERVICE for port ${low}, and nothing else`)];
  const fix = "Install deploy/systemd/rhumb.service: it grants CAP_NET_BIND_SERVICE to the user rhumb";
  if (facts.isRoot) return [warning("privilege", `Port ${low} could be bound, but only as root`, fix)];
  if (facts.hasCapability) return [ok("privilege", `This user may bind port ${low} (CAP_NET_BIND_SERVICE)`)];
  return [problem("privilege", `This user may not bind port ${low}: it is below ${facts.firstFreePort}`, fix)];
}

/** Comments of unit files start their line (systemd.syntax(7)). */
export const unitValues = (unit: string | undefined, key: string): string[] =>
  [...(unit ?? "").matchAll(new RegExp(`^${key}=(.*)$`, "gm"))].flatMap((match) => match[1]!.trim().split(/\s+/));
const unitGrants = (unit: string | undefined): boolean =>
  unitValues(unit, "AmbientCapabilities").includes("CAP_NET_BIND_SERVICE");

/** @param isSynchronised undefined: nothing here says so */
export function judgeClock(isSynchronised: boolean | undefined): Finding {
  if (isSynchronised) return ok("clock", "The clock is synchronised");
  const fix = "Install chrony (`apt install chrony`), or `timedatectl set-ntp true`; in a container, look at the host";
  return isSynchronised === false
    ? problem("clock", "The clock is not synchronised: nodes would give the same client different answers", fix)
    : warning("clock", "Whether the clock is synchronised cannot be seen from here", fix);
}

/** RFC 9110 §5.6.7: `Date` counts in seconds, so half a second either way tells nothing. */
const DATE_STEP_MS = 1_000;
/** Ruling of the design: clocks that differ by more than a tenth of the shortest slot are an alarm. */
export function judgeSkew(peer: string, skewMs: number, slotSeconds: number): Finding {
  const limitMs = Math.max(slotSeconds * 100, DATE_STEP_MS);
  const seconds = (skewMs / 1_000).toFixed(1);
  const ahead = `${seconds.replace("-", "")} s ${skewMs > 0 ? "ahead of" : "behind"} this node's`;
  if (Math.abs(skewMs) <= limitMs + DATE_STEP_MS / 2)
    return ok("clock", `The clock of ${peer} agrees with this one, to the second`);
  return problem(
    "clock",
    `The clock of ${peer} is ${ahead}; more than ${limitMs / 1_000} s moves clients between regions too early or late`,
    "Synchronise both: `chronyc tracking` or `timedatectl timesync-status` says what each follows",
  );
}

export type FileLimitFacts = {
  /** RLIMIT_NOFILE, soft. */
  readonly limit: number;
  /** `rhumb (pid 7)`, `rhumb.service` or `this shell`. */
  readonly of: string;
  /** Of DNS. */
  readonly tcpConnections: number;
  /** Connections that the balancer's listeners may hold; each has two sockets. */
  readonly relayed: number;
  readonly probedAddresses: number;
};
/** Sockets of the API (512 at most), listeners, databases, logs, modules, watches. */
const OTHER_FILES = 768;

export function judgeFileLimit({ limit, of, tcpConnections, relayed, probedAddresses }: FileLimitFacts): Finding {
  // A probe that runs into its time-out overlaps with the confirmations after it.
  const needed = tcpConnections + relayed * 2 + probedAddresses * 4 + OTHER_FILES;
  const parts = [
    ...(tcpConnections > 0 ? [`${tcpConnections} TCP connections`] : []),
    ...(relayed > 0 ? [`${relayed} relayed connections with two each`] : []),
    `probes of ${probedAddresses} addresses`,
    `${OTHER_FILES} others`,
  ];
  const sum = `${needed} are needed: ${parts.join(", ")}`;
  if (limit >= needed) return ok("files", `${of} may open ${limit} files; ${sum}`);
  const setting = relayed > tcpConnections ? "limits.maxConnections` of the listeners" : "dns.tcp.maxConnections`";
  const fix = `Set LimitNOFILE=${Math.max(65_536, needed)} in rhumb.service, or lower \`${setting}`;
  return of === "this shell"
    ? warning("files", `${of} may open ${limit} files, and the service perhaps too; ${sum}`, fix)
    : problem("files", `${of} may open only ${limit} files; ${sum}`, fix);
}

export type KernelFacts = {
  /** Pools that the kernel serves. */
  readonly pools: readonly string[];
  /** Programs that it takes and that are not there. */
  readonly missing: readonly string[];
  /** CAP_NET_ADMIN is in the effective set of this process. */
  readonly hasCapability: boolean;
  readonly unit: string | undefined;
};

/** Kernel mode (`mode: nft` and others): nft and conntrack, and the right to use them. */
export function judgeKernel({ pools, missing, hasCapability, unit }: KernelFacts): Finding[] {
  if (pools.length === 0) return [];
  const list = pools.join(", ");
  const isGranted = hasCapability || unitValues(unit, "AmbientCapabilities").includes("CAP_NET_ADMIN");
  return [
    missing.length === 0
      ? ok("kernel", `nft and conntrack are there for the pools ${list}`)
      : problem(
          "kernel",
          `The pools ${list} need ${missing.join(" and ")}, which this machine does not have`,
          "apt install nftables conntrack; or write `mode: proxy`",
        ),
    isGranted
      ? ok("kernel", "rhumb may change the kernel's rules (CAP_NET_ADMIN)")
      : problem(
          "kernel",
          `rhumb may not change the kernel's rules for the pools ${list}`,
          "Add CAP_NET_ADMIN to AmbientCapabilities and CapabilityBoundingSet of rhumb.service (docs/kernel-mode.md)",
        ),
  ];
}

export function judgeBuffers(rmemMaxOctets: number | undefined): Finding[] {
  if (rmemMaxOctets === undefined) return [];
  if (rmemMaxOctets >= SOCKET_BUFFER_OCTETS)
    return [ok("buffers", `UDP sockets may buffer ${rmemMaxOctets} octets (net.core.rmem_max)`)];
  return [
    warning(
      "buffers",
      `UDP sockets get ${rmemMaxOctets} octets of buffer, not ${SOCKET_BUFFER_OCTETS}: bursts are dropped sooner`,
      "echo 'net.core.rmem_max=4194304' | sudo tee /etc/sysctl.d/60-rhumb.conf && sudo sysctl --system, then restart rhumb",
    ),
  ];
}
