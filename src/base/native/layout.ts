/**
 * Memory layouts of the C structures that the kernel is given, on 64-bit Linux.
 *
 * Owns:    every offset and size that is passed to the kernel. They are derived from the fields by the rules of the C
 *          ABI (System V AMD64 psABI §3.1.2, AAPCS64 §5: a field is aligned to its own size, a structure to its largest
 *          field), which are the same on x86-64, arm64 and riscv64.
 * Never:   holds addresses. Units: octets.
 * @module
 */

/** Field types: name → octets; each is aligned to its size. `pointer`, `size_t` and `long` have 8 on LP64. */
const SIZES = { u16: 2, u32: 4, int: 4, pointer: 8, size_t: 8, long: 8 } as const;
type FieldType = keyof typeof SIZES;

export type Layout<Field extends string> = { readonly size: number } & { readonly [Name in Field]: number };

const roundUp = (value: number, to: number): number => Math.ceil(value / to) * to;

/** Lays fields out in the order given. @returns the offset of each field, and the size of the structure */
function layOut<const Field extends string>(
  fields: readonly (readonly [Field, FieldType | Layout<string>, alignment?: number])[],
): Layout<Field> {
  let at = 0;
  let widest = 1;
  const offsets: Record<string, number> = {};
  for (const [name, type, alignment] of fields) {
    const size = typeof type === "string" ? SIZES[type] : type.size;
    const aligned = alignment ?? (typeof type === "string" ? size : 8);
    at = roundUp(at, aligned);
    offsets[name] = at;
    at += size;
    widest = Math.max(widest, aligned);
  }
  return { ...offsets, size: roundUp(at, widest) } as Layout<Field>;
}

const octets = (size: number): Layout<never> => ({ size });

/** struct iovec: sys/uio.h */
export const IOVEC = layOut([
  ["base", "pointer"],
  ["length", "size_t"],
]);

/** struct msghdr: linux/socket.h; musl's and glibc's own agree with it on little-endian LP64. */
export const MSGHDR = layOut([
  ["name", "pointer"],
  ["nameLength", "u32"],
  ["vectors", "pointer"],
  ["vectorCount", "size_t"],
  ["control", "pointer"],
  ["controlLength", "size_t"],
  ["flags", "int"],
]);

/** struct mmsghdr: recvmmsg(2) */
export const MMSGHDR = layOut([
  ["header", MSGHDR],
  ["length", "u32"],
]);

/** struct cmsghdr: cmsg(3); its data follow at `size`. */
export const CMSGHDR = layOut([
  ["length", "size_t"],
  ["level", "int"],
  ["type", "int"],
]);

/** struct in_pktinfo: ip(7) */
export const IN_PKTINFO = layOut([
  ["interface", "int"],
  ["source", "u32"],
  ["destination", "u32"],
]);

/** struct in6_pktinfo: RFC 3542 §6.1 */
export const IN6_PKTINFO = layOut([
  ["address", octets(16), 1],
  ["interface", "u32"],
]);

/** struct sockaddr_in: ip(7). Port and address in network order. */
export const SOCKADDR_IN = layOut([
  ["family", "u16"],
  ["port", "u16"],
  ["address", "u32"],
  ["zero", octets(8), 1],
]);

/** struct sockaddr_in6: ipv6(7) */
export const SOCKADDR_IN6 = layOut([
  ["family", "u16"],
  ["port", "u16"],
  ["flowInfo", "u32"],
  ["address", octets(16), 1],
  ["scopeId", "u32"],
]);

/** struct timeval: socket(7), SO_RCVTIMEO */
export const TIMEVAL = layOut([
  ["seconds", "long"],
  ["micros", "long"],
]);

/** struct linger: socket(7), SO_LINGER */
export const LINGER = layOut([
  ["isOn", "int"],
  ["seconds", "int"],
]);

/** struct epoll_event: epoll_event(3type). Packed on x86-64 alone; `data` is a union of 8 octets, for us two words. */
export const EPOLL_EVENT = layOut([
  ["events", "u32"],
  ["data", octets(8), process.arch === "x64" ? 4 : 8],
]);

/** struct sock_fprog: socket(7), SO_ATTACH_FILTER */
export const SOCK_FPROG = layOut([
  ["count", "u16"],
  ["program", "pointer"],
]);

/** CMSG_SPACE of one piece of ancillary data: what it takes in `msg_control`, cmsg(3). */
export const controlSpace = (dataOctets: number): number => CMSGHDR.size + roundUp(dataOctets, SIZES.size_t);
