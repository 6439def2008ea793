/**
 * Puts our program on an interface, and takes it off again.
 *
 * Owns:    the program, its two maps and the link. The link is a descriptor: when this process ends, however it ends, the
 *          kernel takes the program off and serves alone.
 * Never:   opens sockets: the workers put theirs into the map.
 * @module
 */
import { readFileSync } from "node:fs";
import { constants } from "node:os";
import { RhumbError } from "#base/errors.ts";
import { systemError } from "#base/native/load.ts";
import { createBpf, MAP_KIND } from "#dns/transport/xdp/bpf.ts";
import type { XdpCalls } from "#dns/transport/xdp/calls.ts";
import { MAX_FRAME_OCTETS } from "#dns/transport/xdp/frame.ts";
import { describeInterface } from "#dns/transport/xdp/interface.ts";
import { buildProgram, LISTENER_KEY, listenerKey } from "#dns/transport/xdp/program.ts";
import type { ListenAddress } from "#state/snapshot.ts";
import type { XdpInterface, XdpMode } from "#state/xdp.ts";

const MAX_LISTENERS = 256;
const INDEX_OCTETS = 4;
/** linux/capability.h */
const CAPABILITY = { CAP_NET_ADMIN: 12, CAP_NET_RAW: 13, CAP_SYS_ADMIN: 21, CAP_BPF: 39 } as const;

export type XdpAttachment = {
  readonly interface: XdpInterface;
  /** From now on what comes to this address by the interface goes to the sockets of the queues. No wildcards. */
  serve(listen: ListenAddress): void;
  /** From now on it goes to the kernel's sockets again. */
  leave(listen: ListenAddress): void;
  close(): void;
};

/**
 * @param options.mode undefined: native where the driver can, else generic
 * @throws RhumbError RHUMB_DNS_XDP, _BUSY, _CAPABILITY or _INTERFACE
 */
export function attachXdp(options: { calls: XdpCalls; interface: string; mode?: XdpMode }): XdpAttachment {
  const { calls, interface: name } = options;
  const lacking = missingCapabilities(readFileSync("/proc/thread-self/status", "latin1"));
  if (lacking.length > 0) throw new RhumbError("RHUMB_DNS_XDP_CAPABILITY", lacking.join(", "));
  const { index, mac, queues } = describeInterface(calls, name);
  const bpf = createBpf(calls);
  const descriptors: number[] = [];
  const keep = (descriptor: number): number => {
    descriptors.push(descriptor);
    return descriptor;
  };
  const closeAll = () => {
    // The link first: nothing is redirected into maps that go.
    for (const descriptor of descriptors.splice(0).reverse()) calls.close(descriptor);
  };

  try {
    const listeners = keep(bpf.createMap(MAP_KIND.hash, LISTENER_KEY.octets, 1, MAX_LISTENERS));
    const socketMap = keep(bpf.createMap(MAP_KIND.socketsByQueue, INDEX_OCTETS, INDEX_OCTETS, queues));
    const program = keep(
      bpf.loadProgram(buildProgram({ mac, maxOctets: MAX_FRAME_OCTETS, listeners, sockets: socketMap })),
    );
    const attach = (mode: XdpMode): XdpMode | undefined => {
      const link = bpf.attach(program, index, mode);
      if (link < 0) return undefined;
      keep(link);
      return mode;
    };
    const attached = options.mode ? attach(options.mode) : (attach("native") ?? attachGeneric());
    function attachGeneric(): XdpMode | undefined {
      return isTaken(calls.errno()) ? undefined : attach("generic");
    }
    if (attached === undefined) {
      const cause = systemError("bpf BPF_LINK_CREATE", calls.errno());
      if (isTaken(calls.errno())) throw new RhumbError("RHUMB_DNS_XDP_BUSY", name, { cause });
      throw new RhumbError("RHUMB_DNS_XDP", `${name}: ${cause.message}`, { cause });
    }

    const keyOf = (listen: ListenAddress): Uint8Array => {
      const key = listenerKey(listen);
      if (key === undefined) throw new RhumbError("RHUMB_DNS_XDP", `${listen.address} is no address`);
      return key;
    };
    return {
      interface: { name, index, queues, mode: attached, programId: bpf.programId(program), socketMap },
      serve: (listen) => bpf.update(listeners, keyOf(listen), Uint8Array.of(1)),
      leave: (listen) => bpf.remove(listeners, keyOf(listen)),
      close: closeAll,
    };
  } catch (error) {
    closeAll();
    if (error instanceof RhumbError) throw error;
    throw new RhumbError("RHUMB_DNS_XDP", `${name}: ${(error as Error).message}`, { cause: error });
  }
}

const isTaken = (errno: number): boolean => errno === constants.errno.EBUSY || errno === constants.errno.EEXIST;

/**
 * @param status proc(5): `/proc/thread-self/status`
 * @returns those that AF_XDP and its program need and that are not in effect
 */
export function missingCapabilities(status: string): string[] {
  const effective = BigInt(`0x${/^CapEff:\s*([0-9a-f]+)/m.exec(status)?.[1] ?? "0"}`);
  const has = (bit: number): boolean => ((effective >> BigInt(bit)) & 1n) === 1n;
  // CAP_SYS_ADMIN stands for CAP_BPF (capabilities(7)), not for the others.
  return (["CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_BPF"] as const).filter(
    (name) => !has(CAPABILITY[name]) && !(name === "CAP_BPF" && has(CAPABILITY.CAP_SYS_ADMIN)),
  );
}
