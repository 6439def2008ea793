/**
 * Ethernet frames with a DNS message in UDP: where the message lies in one that came, and the headers in front of the one
 * that goes back (IEEE 802.3, 802.1Q; RFC 791, 8200, 768).
 *
 * Owns:    lengths and checksums. A reply goes to the frame's sender by the way that it came: addresses, ports and the
 *          VLAN's tag are those of the request.
 * Never:   reads or writes beyond what it is told; throws; allocates. That the frame is UDP over IP without options, to
 *          us, is the program's affair (`program.ts`).
 * Units:   offsets in octets from the beginning of the memory; all headers begin at even ones, so they are read by halves
 *          of 16 bits. The one's complement sum does not mind in which order the machine has their octets (RFC 1071 §2).
 * @module
 */

/** What one frame may take of the memory that is shared with the kernel. */
export const CHUNK_OCTETS = 2_048;
/** XDP_PACKET_HEADROOM, linux/bpf.h: what the kernel keeps free in front of a frame that came. */
const HEADROOM_OCTETS = 256;
/** A longer frame does not fit into a chunk: it passes to the kernel. */
export const MAX_FRAME_OCTETS = CHUNK_OCTETS - HEADROOM_OCTETS;
/** Where the message begins in a chunk that is sent: behind the longest headers (66), on a cache line. */
export const MESSAGE_AT = 128;

const HALF = 2;
const WORD = 4;
// In halves of 16 bits:
const ETHERNET_HALVES = 7;
const TAG_HALVES = 2;
const IPV4_HALVES = 10;
const IPV6_HALVES = 20;
const UDP_HALVES = 4;
const UDP_OCTETS = UDP_HALVES * HALF;
const IPV4_OCTETS = IPV4_HALVES * HALF;
const IPV6_OCTETS = IPV6_HALVES * HALF;
/** A 16-bit number in network order, as a little-endian machine reads and writes it. */
export const swap = (value: number): number => ((value & 0xff) << 8) | (value >>> 8);
const TYPE_IPV4 = swap(0x0800);
const TYPE_IPV6 = swap(0x86dd);
const TYPE_TAG = swap(0x8100);
const IPV4_FIRST = swap(0x4500); // version 4, five words, no class of traffic
const IPV6_FIRST = swap(0x6000);
const HOPS = 64; // RFC 1700, "IP TIME TO LIVE PARAMETER"
const PROTOCOL_UDP = 17;
const IPV4_HOPS_AND_PROTOCOL = swap((HOPS << 8) | PROTOCOL_UDP);
const IPV6_NEXT_AND_HOPS = swap((PROTOCOL_UDP << 8) | HOPS);

/** Three views of one memory. */
export type FrameMemory = {
  readonly octets: Uint8Array;
  readonly halves: Uint16Array;
  readonly words: Uint32Array;
};

export const createFrameMemory = (buffer: ArrayBuffer): FrameMemory => ({
  octets: new Uint8Array(buffer),
  halves: new Uint16Array(buffer),
  words: new Uint32Array(buffer),
});

/** A frame that came. One per worker, filled in anew for each: nothing is allocated. */
export type Arrival = {
  /** Of the Ethernet header. */
  start: number;
  isTagged: boolean;
  isIpv6: boolean;
  /** Of the sender's address: 4 or 16 octets. */
  sourceAt: number;
  port: number;
  messageAt: number;
  messageOctets: number;
};
export const createArrival = (): Arrival => ({
  start: 0,
  isTagged: false,
  isIpv6: false,
  sourceAt: 0,
  port: 0,
  messageAt: 0,
  messageOctets: 0,
});

/**
 * Reads the headers as a kernel's socket would have them read: a datagram ends where its own length says, and is dropped
 * when that does not fit, or when IPv4's header, or IPv6's missing UDP checksum, says that it is broken. The UDP checksum
 * itself is not verified: a frame from this machine may not have one yet.
 *
 * @param start of the frame; @param length its octets
 * @returns false: drop it
 */
export function readFrame({ halves }: FrameMemory, start: number, length: number, into: Arrival): boolean {
  if ((start & 1) !== 0) return false;
  const end = start + length;
  let ip = start / HALF + ETHERNET_HALVES;
  if ((ip + IPV4_HALVES + UDP_HALVES) * HALF > end) return false;
  let type = halves[ip - 1]!;
  into.isTagged = type === TYPE_TAG;
  if (into.isTagged) {
    type = halves[ip + 1]!;
    ip += TAG_HALVES;
  }
  const ipAt = ip * HALF;
  let udp: number;
  let payloadOctets: number;
  if (type === TYPE_IPV4) {
    if (ipAt + IPV4_OCTETS + UDP_OCTETS > end) return false;
    payloadOctets = swap(halves[ip + 1]!) - IPV4_OCTETS;
    if (ipAt + IPV4_OCTETS + payloadOctets > end) return false;
    let sum = 0;
    for (let half = ip; half < ip + IPV4_HALVES; half++) sum += halves[half]!;
    if (fold(sum) !== 0xffff) return false;
    udp = ip + IPV4_HALVES;
    into.isIpv6 = false;
    into.sourceAt = ipAt + 12;
  } else {
    if (type !== TYPE_IPV6 || ipAt + IPV6_OCTETS + UDP_OCTETS > end) return false;
    payloadOctets = swap(halves[ip + 2]!);
    if (ipAt + IPV6_OCTETS + payloadOctets > end) return false;
    udp = ip + IPV6_HALVES;
    if (halves[udp + 3] === 0) return false; // RFC 8200 §8.1
    into.isIpv6 = true;
    into.sourceAt = ipAt + 8;
  }
  const udpOctets = swap(halves[udp + 2]!);
  if (udpOctets < UDP_OCTETS || udpOctets > payloadOctets) return false;
  into.start = start;
  into.port = swap(halves[udp]!);
  into.messageAt = (udp + UDP_HALVES) * HALF;
  into.messageOctets = udpOctets - UDP_OCTETS;
  return true;
}

/**
 * Writes the headers of the answer to `to` in front of its message, which lies at `chunk` + MESSAGE_AT. Up to three
 * octets behind the message are set to 0.
 *
 * @param chunk begins a multiple of 4 octets from the memory's beginning
 * @returns octets of headers: the frame begins so many before the message
 */
export function writeHeaders(memory: FrameMemory, to: Arrival, chunk: number, messageOctets: number): number {
  const { octets, halves, words } = memory;
  const messageAt = chunk + MESSAGE_AT;
  const udpOctets = messageOctets + UDP_OCTETS;
  const message = messageAt / HALF;
  const udp = message - UDP_HALVES;
  const from = to.messageAt / HALF - UDP_HALVES;
  const length = swap(udpOctets);

  // RFC 768: pseudo header and datagram. Both addresses are summed as they are copied, in whichever order they stand.
  let sum = swap(PROTOCOL_UDP) + length;
  halves[udp] = halves[from + 1]!;
  halves[udp + 1] = halves[from]!;
  halves[udp + 2] = length;
  sum += halves[from]! + halves[from + 1]! + length;

  let ip: number;
  if (to.isIpv6) {
    ip = udp - IPV6_HALVES;
    const request = from - IPV6_HALVES;
    halves[ip] = IPV6_FIRST;
    halves[ip + 1] = 0;
    halves[ip + 2] = length;
    halves[ip + 3] = IPV6_NEXT_AND_HOPS;
    for (let half = 0; half < 8; half++) {
      const source = halves[request + 4 + half]!;
      const target = halves[request + 12 + half]!;
      halves[ip + 4 + half] = target;
      halves[ip + 12 + half] = source;
      sum += source + target;
    }
  } else {
    ip = udp - IPV4_HALVES;
    const request = from - IPV4_HALVES;
    let addresses = 0;
    for (let half = 0; half < 2; half++) {
      const source = halves[request + 6 + half]!;
      const target = halves[request + 8 + half]!;
      halves[ip + 6 + half] = target;
      halves[ip + 8 + half] = source;
      addresses += source + target;
    }
    sum += addresses;
    const totalOctets = swap(udpOctets + IPV4_OCTETS);
    // Tells fragments of answers apart, if a link should cut them: the query's ID, which nobody else can guess.
    const identification = halves[message]!;
    halves[ip] = IPV4_FIRST;
    halves[ip + 1] = totalOctets;
    halves[ip + 2] = identification;
    halves[ip + 3] = 0;
    halves[ip + 4] = IPV4_HOPS_AND_PROTOCOL;
    halves[ip + 5] = ~fold(IPV4_FIRST + totalOctets + identification + IPV4_HOPS_AND_PROTOCOL + addresses);
  }

  const end = messageAt + messageOctets;
  octets[end] = 0;
  octets[end + 1] = 0;
  octets[end + 2] = 0;
  const lastWord = Math.ceil(end / WORD);
  for (let word = messageAt / WORD; word < lastWord; word++) {
    const value = words[word]!;
    sum += (value & 0xffff) + (value >>> 16);
  }
  const checksum = ~fold(sum) & 0xffff;
  halves[udp + 3] = checksum === 0 ? 0xffff : checksum; // 0 would say that there is none

  const ethernet = ip - ETHERNET_HALVES - (to.isTagged ? TAG_HALVES : 0);
  const request = to.start / HALF;
  for (let half = 0; half < 3; half++) {
    halves[ethernet + half] = halves[request + 3 + half]!;
    halves[ethernet + 3 + half] = halves[request + half]!;
  }
  for (let half = ethernet + 6; half < ip; half++) halves[half] = halves[request + half - ethernet]!;
  return messageAt - ethernet * HALF;
}

/** Adds the carries: 16 bits of one's complement. At most 2^31 − 1. */
function fold(sum: number): number {
  const once = (sum & 0xffff) + (sum >>> 16);
  return (once & 0xffff) + (once >>> 16);
}
