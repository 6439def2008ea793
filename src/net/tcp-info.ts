/**
 * What the kernel knows of a TCP connection's round trip.
 *
 * Never:   throws: without koffi or Linux nobody knows.
 * Units:   µs.
 * @module
 */
import { loadNative, type Native } from "#base/native/load.ts";

type Calls = Native & {
  getsockopt(descriptor: number, level: number, option: number, value: number, length: number): number;
};

const IPPROTO_TCP = 6;
const TCP_INFO = 11;
/** `tcpi_rtt` of `struct tcp_info` (linux/tcp.h): eight octets of flags, then fifteen words; it only ever grew at its end. */
const RTT_WORD = (8 + 15 * 4) / 4;
const OCTETS = (RTT_WORD + 1) * 4;

/**
 * Smoothed round-trip time (RFC 6298 §2) of the connection behind a descriptor; 0: not known. From the handshake on it is:
 * the time from our SYN-ACK to its ACK, unless one of both was lost or a SYN cookie kept it.
 */
export type ReadRtt = (descriptor: number) => number;

/** @returns undefined where there is no such call */
export function loadTcpInfo(): ReadRtt | undefined {
  const calls = loadNative<Calls>({ getsockopt: "int getsockopt(int, int, int, uintptr_t, uintptr_t)" }, "TCP_INFO");
  if (typeof calls === "string") return undefined;
  const words = new Uint32Array(new ArrayBuffer(OCTETS));
  const length = new Uint32Array(new ArrayBuffer(4));
  const [wordsAt, lengthAt] = [Number(calls.addressOf(words)), Number(calls.addressOf(length))];
  return (descriptor) => {
    length[0] = OCTETS;
    const result = calls.getsockopt(descriptor, IPPROTO_TCP, TCP_INFO, wordsAt, lengthAt);
    return result === 0 && length[0] === OCTETS ? words[RTT_WORD]! : 0;
  };
}
