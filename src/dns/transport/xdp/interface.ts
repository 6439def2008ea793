/**
 * What the kernel says of a network interface, by ioctl(2): asked of a socket, so it is true for the network namespace
 * that this thread is in, whatever is mounted at /sys.
 * @module
 */
import { existsSync, readFileSync } from "node:fs";
import { constants } from "node:os";
import { RhumbError } from "#base/errors.ts";
import { systemError } from "#base/native/load.ts";
import { AF_INET } from "#base/native/socket-address.ts";
import type { XdpCalls } from "#dns/transport/xdp/calls.ts";

export type InterfaceFacts = {
  readonly index: number;
  /** Its own address, 6 octets. */
  readonly mac: Uint8Array;
  /** Receive queues. */
  readonly queues: number;
};

// sys/socket.h, linux/sockios.h, linux/ethtool.h, linux/if_arp.h
const SOCK_DGRAM_CLOEXEC = 2 | 0o2000000;
const SIOCGIFINDEX = 0x8933;
const SIOCGIFHWADDR = 0x8927;
const SIOCETHTOOL = 0x8946;
const ETHTOOL_GFLAGS = 0x25;
const ETHTOOL_GCHANNELS = 0x3c;
/** ETH_FLAG_RXVLAN: the driver takes tags off a frame and keeps them where the program does not see them. */
const STRIPS_TAGS = 1 << 8;
const ARPHRD_ETHER = 1;
/** struct ifreq: name, then a union. */
const REQUEST = { octets: 40, value: 16 } as const;
const MAX_NAME_OCTETS = 15;
/** struct ethtool_channels, in words: the command, four maxima, four counts. */
const CHANNELS = { words: 9, receive: 5, combined: 8 } as const;

/** @throws RhumbError RHUMB_DNS_XDP_INTERFACE */
export function describeInterface(calls: XdpCalls, name: string): InterfaceFacts {
  const fail = (says: string): RhumbError => new RhumbError("RHUMB_DNS_XDP_INTERFACE", `${name}: ${says}`);
  const nameOctets = new TextEncoder().encode(name);
  if (nameOctets.length > MAX_NAME_OCTETS) throw fail(`a name has at most ${MAX_NAME_OCTETS} octets`);
  const request = new DataView(new ArrayBuffer(REQUEST.octets));
  new Uint8Array(request.buffer).set(nameOctets);
  const descriptor = calls.socket(AF_INET, SOCK_DGRAM_CLOEXEC, 0);
  if (descriptor < 0) throw systemError("socket", calls.errno());
  /** @returns 0, or why not */
  const ask = (what: number): number =>
    calls.ioctl(descriptor, what, calls.addressOf(request)) < 0 ? calls.errno() : 0;
  try {
    if (ask(SIOCGIFINDEX) !== 0) throw fail("there is none of this name");
    const index = request.getInt32(REQUEST.value, true);
    if (ask(SIOCGIFHWADDR) !== 0 || request.getUint16(REQUEST.value, true) !== ARPHRD_ETHER) {
      throw fail("it is no Ethernet interface");
    }
    const mac = new Uint8Array(request.buffer.slice(REQUEST.value + 2, REQUEST.value + 8));
    /** @returns whether the driver knows the question */
    const askDriver = (question: number, answer: Uint32Array): boolean => {
      answer[0] = question;
      request.setBigUint64(REQUEST.value, calls.addressOf(answer), true);
      const fault = ask(SIOCETHTOOL);
      if (fault !== 0 && fault !== constants.errno.EOPNOTSUPP) throw systemError("ioctl SIOCETHTOOL", fault);
      return fault === 0;
    };
    const flags = new Uint32Array(2);
    const stripsTags = askDriver(ETHTOOL_GFLAGS, flags) && (flags[1]! & STRIPS_TAGS) !== 0;
    const [vlan] = stripsTags && existsSync(VLAN_TABLE) ? vlansOn(readFileSync(VLAN_TABLE, "latin1"), name) : [];
    if (vlan !== undefined) {
      // The answers would go back without a tag, to where nobody asked.
      throw fail(
        `it has the VLAN ${vlan}, and its driver hides tags; run ethtool -K ${name} rxvlan off, or use ${vlan}`,
      );
    }
    const channels = new Uint32Array(CHANNELS.words);
    // A driver that cannot say how many queues it has, has one.
    const hasQueues = askDriver(ETHTOOL_GCHANNELS, channels);
    return { index, mac, queues: hasQueues ? channels[CHANNELS.receive]! + channels[CHANNELS.combined]! : 1 };
  } finally {
    calls.close(descriptor);
  }
}

/** proc(5), in this thread's network namespace; there when a VLAN was ever made. */
const VLAN_TABLE = "/proc/thread-self/net/vlan/config";

/**
 * @param table as the kernel writes it: "eth0.5  | 5  | eth0" behind two lines of titles
 * @returns names of the VLANs that lie on the interface `name`
 */
export function vlansOn(table: string, name: string): string[] {
  const rows = table.split("\n").slice(2);
  const columns = rows.map((row) => row.split("|").map((column) => column.trim()));
  return columns.filter(([, , lower]) => lower === name).map(([vlan]) => vlan!);
}
