/**
 * Reads what the machine says of itself: ports, capability, clock, limits, the systemd unit. Linux; elsewhere less is known.
 * @module
 */
import { execFile } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { accessSync, constants, existsSync, globSync, readFileSync, statSync } from "node:fs";
import { createServer, isIPv6 } from "node:net";
import { dirname } from "node:path";
import { promisify } from "node:util";
import type { StateFolderFacts } from "#app/doctor/file-rules.ts";
import { type PortFacts, unitValues } from "#app/doctor/machine-rules.ts";
import { findPortOwner } from "#app/port-owner.ts";
import type { ListenAddress } from "#state/snapshot.ts";

/** @returns undefined where it cannot be read */
export function readText(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

export function readMode(file: string): number | undefined {
  try {
    return statSync(file).mode & 0o777;
  } catch {
    return undefined;
  }
}

/** Tries to bind, and lets go at once. */
async function tryBind(protocol: "udp" | "tcp", { address, port }: ListenAddress): Promise<string | undefined> {
  try {
    if (protocol === "udp") {
      const socket = isIPv6(address) ? createSocket({ type: "udp6", ipv6Only: true }) : createSocket("udp4");
      try {
        socket.bind({ address, port, exclusive: true });
        await once(socket, "listening");
      } finally {
        socket.close();
      }
    } else {
      const server = createServer();
      server.listen({ host: address, port, exclusive: true, ipv6Only: true });
      await once(server, "listening");
      server.close();
      await once(server, "close");
    }
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? String(error);
  }
}

const OUTCOMES: Record<string, PortFacts["outcome"]> = {
  EADDRINUSE: "busy",
  EACCES: "forbidden",
  EADDRNOTAVAIL: "absent",
};

/** @param isServed whether the control API of a running node says that it listens there */
export async function readPort(
  protocol: "udp" | "tcp",
  listen: ListenAddress,
  setting: string,
  isServed: boolean,
): Promise<PortFacts> {
  const code = await tryBind(protocol, listen);
  const outcome = code === undefined ? "free" : (OUTCOMES[code] ?? "other");
  const found = outcome === "busy" ? findPortOwner(protocol, listen.port) : undefined;
  const owner = found && {
    ...found,
    isRhumb: /\/(main\.ts|bin\/rhumb)\0/.test(readText(`/proc/${found.pid}/cmdline`) ?? ""),
  };
  return { protocol, ...listen, setting, outcome, says: code ?? "", owner, isServed };
}

export const readFirstFreePort = (): number =>
  Number(readText("/proc/sys/net/ipv4/ip_unprivileged_port_start") ?? 1_024);
export const readRmemMax = (): number | undefined => {
  const text = readText("/proc/sys/net/core/rmem_max");
  return text === undefined ? undefined : Number(text);
};

/** linux/capability.h */
export const CAPABILITY = { netBindService: 10n, netAdmin: 12n } as const;
export function readHasCapability(capability: bigint): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)$/m.exec(readText("/proc/self/status") ?? "")?.[1];
  return effective !== undefined && ((BigInt(`0x${effective}`) >> capability) & 1n) === 1n;
}

/** Those of `programs` that are on no path of the system. */
export const missingPrograms = (programs: readonly string[]): string[] =>
  programs.filter(
    (program) =>
      !["/usr/sbin", "/sbin", "/usr/bin", "/bin", "/usr/local/sbin"].some((at) => existsSync(`${at}/${program}`)),
  );

/** The installed unit with its drop-ins behind it, or undefined. */
export function readUnit(): string | undefined {
  const unit = ["/etc/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system"]
    .map((folder) => readText(`${folder}/rhumb.service`))
    .find((text) => text !== undefined);
  const dropIns = globSync("/etc/systemd/system/rhumb.service.d/*.conf").sort();
  return unit === undefined ? undefined : [unit, ...dropIns.map((file) => readText(file) ?? "")].join("\n");
}

/** Soft RLIMIT_NOFILE, and whose it is. Node raises its own to the hard limit when it starts. */
export function readFileLimit(pid: number | undefined, unit: string | undefined): { limit: number; of: string } {
  const limitOf = (process: string): number => {
    const word = /^Max open files\s+(\S+)/m.exec(readText(`/proc/${process}/limits`) ?? "")?.[1];
    return word === undefined ? Number.NaN : word === "unlimited" ? Number.POSITIVE_INFINITY : Number(word);
  };
  const running = pid === undefined ? Number.NaN : limitOf(String(pid));
  if (!Number.isNaN(running)) return { limit: running, of: `rhumb (pid ${pid})` };
  const written = unitValues(unit, "LimitNOFILE").at(-1);
  if (written !== undefined) {
    const hard = written.split(":").at(-1)!;
    return { limit: hard === "infinity" ? Number.POSITIVE_INFINITY : Number(hard), of: "rhumb.service" };
  }
  return { limit: limitOf("self"), of: "this shell" };
}

/** @returns undefined where nothing says so */
export async function readIsSynchronised(): Promise<boolean | undefined> {
  // systemd-timesyncd leaves this file; for chrony and ntpd the kernel's flag tells, which timedatectl shows.
  if (existsSync("/run/systemd/timesync/synchronized")) return true;
  try {
    const words = ["show", "-p", "NTPSynchronized", "--value"];
    const { stdout } = await promisify(execFile)("timedatectl", words, { timeout: 2_000 });
    return stdout.trim() === "yes" ? true : stdout.trim() === "no" ? false : undefined;
  } catch {
    return undefined;
  }
}

export function readStateFolder(folder: string, unit: string | undefined): StateFolderFacts {
  let place = folder;
  while (!existsSync(place) && dirname(place) !== place) place = dirname(place);
  let isWritable = true;
  try {
    accessSync(place, constants.W_OK | constants.X_OK);
  } catch {
    isWritable = false;
  }
  return { folder, mode: readMode(folder), isWritable, unit };
}
