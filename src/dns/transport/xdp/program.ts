/**
 * The program that runs in front of the kernel's network stack: which frames go to our sockets.
 *
 * Owns:    that choice. Ours: Ethernet to the interface's own address, at most one VLAN tag, IPv4 without options and not
 *          a fragment or IPv6 without extension headers, UDP to an address and port that we serve, from an address that
 *          can be answered. All else, and what comes to a queue without a socket, passes to the kernel, which serves it
 *          on ordinary sockets or drops it as it always does.
 * Never:   changes or drops a frame; looks into DNS.
 * @module
 */
import { parseIp } from "#base/ip.ts";
import {
  add,
  and,
  assemble,
  call,
  exit,
  jump,
  jumpIf,
  jumpIfNull,
  label,
  load,
  loadMap,
  move,
  type Step,
  store,
  storeValue,
} from "#dns/transport/xdp/assembler.ts";
import type { ListenAddress } from "#state/snapshot.ts";

// linux/bpf.h
const XDP_PASS = 2;
/** struct xdp_md: begin and end of the frame, and the queue that it came by. */
const CONTEXT = { data: 0, dataEnd: 4, queue: 16 } as const;
const HELPER = { lookUp: 1, redirectMap: 51 } as const;

/** What stands in front of the two versions' payload, and what of it matters (RFC 791 §3.1, RFC 8200 §3, RFC 768). */
const ETHERNET = { octets: 14, type: 12 } as const;
const TAG_OCTETS = 4; // IEEE 802.1Q
const IPV4 = { octets: 20, fragment: 6, protocol: 9, source: 12, target: 16 } as const;
const IPV6 = { octets: 40, next: 6, source: 8, target: 24 } as const;
const UDP = { octets: 8, targetPort: 2, number: 17 } as const;
const ETHERTYPE = { ipv4: 0x0800, ipv6: 0x86dd, tag: 0x8100 } as const;
const IPV4_WITHOUT_OPTIONS = 0x45;
const IPV4_FRAGMENT = 0x3fff; // "more fragments", or an offset

/** Key of the map of listeners: address (IPv4: then 12 zeros), port in network order, version of IP in one octet. */
export const LISTENER_KEY = { address: 0, port: 16, version: 18, octets: 20 } as const;

/** Where the key lies on the stack: aligned to 8 octets. */
const KEY_AT = -24;

/** A 16-bit number in network order, as a load by a little-endian machine sees it. */
const network16 = (value: number): number => ((value & 0xff) << 8) | (value >>> 8);

/**
 * @param options.mac the interface's own address, 6 octets
 * @param options.maxOctets longer frames pass: one does not fit what a socket keeps it in
 * @param options.listeners descriptor of the map whose keys are `LISTENER_KEY`
 * @param options.sockets descriptor of the map queue → socket
 */
export function buildProgram(options: {
  mac: Uint8Array;
  maxOctets: number;
  listeners: number;
  sockets: number;
}): Uint8Array {
  const mac = new DataView(options.mac.buffer, options.mac.byteOffset, options.mac.byteLength);
  return assemble([
    move("r6", "r1"),
    load(4, "r2", "r1", CONTEXT.data),
    load(4, "r3", "r1", CONTEXT.dataEnd),
    // Pointers are compared, not subtracted: that would take CAP_PERFMON.
    move("r4", "r2"),
    add("r4", options.maxOctets + 1),
    jumpIf("r4", "<=", "r3", "pass"),
    // From here on r4 is where the header behind Ethernet's begins.
    move("r4", "r2"),
    add("r4", ETHERNET.octets),
    jumpIf("r4", ">", "r3", "pass"),
    load(4, "r5", "r2", 0),
    jumpIf("r5", "!=", mac.getUint32(0, true), "pass"),
    load(2, "r5", "r2", 4),
    jumpIf("r5", "!=", mac.getUint16(4, true), "pass"),
    load(2, "r5", "r2", ETHERNET.type),
    jumpIf("r5", "!=", network16(ETHERTYPE.tag), "typed"),
    add("r4", TAG_OCTETS),
    jumpIf("r4", ">", "r3", "pass"),
    load(2, "r5", "r4", -2),
    label("typed"),
    jumpIf("r5", "==", network16(ETHERTYPE.ipv4), "ipv4"),
    jumpIf("r5", "!=", network16(ETHERTYPE.ipv6), "pass"),
    ...ipv6Steps(),
    label("ipv4"),
    ...ipv4Steps(),
    label("find"),
    ...loadMap("r1", options.listeners),
    move("r2", "r10"),
    add("r2", KEY_AT),
    call(HELPER.lookUp),
    jumpIfNull("r0", "pass"),
    load(4, "r2", "r6", CONTEXT.queue),
    ...loadMap("r1", options.sockets),
    move("r3", XDP_PASS), // where the queue has no socket
    call(HELPER.redirectMap),
    exit(),
    label("pass"),
    move("r0", XDP_PASS),
    exit(),
  ]);
}

const needs = (octets: number): readonly Step[] => [
  move("r5", "r4"),
  add("r5", octets),
  jumpIf("r5", ">", "r3", "pass"),
];

/** The port, and the version in the four octets' rest. */
const finishKey = (udpAt: number, version: number): readonly Step[] => [
  storeValue(4, "r10", KEY_AT + LISTENER_KEY.port, 0),
  load(2, "r5", "r4", udpAt + UDP.targetPort),
  store(2, "r10", KEY_AT + LISTENER_KEY.port, "r5"),
  storeValue(1, "r10", KEY_AT + LISTENER_KEY.version, version),
];

function ipv6Steps(): readonly Step[] {
  return [
    ...needs(IPV6.octets + UDP.octets),
    load(1, "r5", "r4", 0),
    and("r5", 0xf0),
    jumpIf("r5", "!=", 0x60, "pass"),
    load(1, "r5", "r4", IPV6.next),
    jumpIf("r5", "!=", UDP.number, "pass"),
    // From a group, or from ::/64, where ::, ::1 and the mapped addresses are: the kernel knows what to do with them.
    load(1, "r5", "r4", IPV6.source),
    jumpIf("r5", "==", 0xff, "pass"),
    load(8, "r5", "r4", IPV6.source),
    move("r0", 0),
    jumpIf("r5", "==", "r0", "pass"),
    ...[0, 4, 8, 12].flatMap((at) => [
      load(4, "r5", "r4", IPV6.target + at),
      store(4, "r10", KEY_AT + LISTENER_KEY.address + at, "r5"),
    ]),
    ...finishKey(IPV6.octets, 6),
    jump("find"),
  ];
}

function ipv4Steps(): readonly Step[] {
  return [
    ...needs(IPV4.octets + UDP.octets),
    load(1, "r5", "r4", 0),
    jumpIf("r5", "!=", IPV4_WITHOUT_OPTIONS, "pass"),
    load(1, "r5", "r4", IPV4.protocol),
    jumpIf("r5", "!=", UDP.number, "pass"),
    load(2, "r5", "r4", IPV4.fragment),
    jumpIf("r5", "&", network16(IPV4_FRAGMENT), "pass"),
    // From "this network", from loopback, from groups and above (RFC 6890 §2.2.2): not to be answered by us.
    load(1, "r5", "r4", IPV4.source),
    jumpIf("r5", "==", 0, "pass"),
    jumpIf("r5", "==", 127, "pass"),
    jumpIf("r5", ">=", 224, "pass"),
    load(4, "r5", "r4", IPV4.target),
    store(4, "r10", KEY_AT + LISTENER_KEY.address, "r5"),
    storeValue(4, "r10", KEY_AT + LISTENER_KEY.address + 4, 0),
    storeValue(8, "r10", KEY_AT + LISTENER_KEY.address + 8, 0),
    ...finishKey(IPV4.octets, 4),
  ];
}

/** @returns the key under which the program looks for frames to this address; undefined: it is no address */
export function listenerKey({ address, port }: ListenAddress): Uint8Array | undefined {
  const octets = parseIp(address);
  if (octets === undefined) return undefined;
  const key = new Uint8Array(LISTENER_KEY.octets);
  key.set(octets, LISTENER_KEY.address);
  key[LISTENER_KEY.port] = port >>> 8;
  key[LISTENER_KEY.port + 1] = port;
  key[LISTENER_KEY.version] = octets.length === 4 ? 4 : 6;
  return key;
}
