/**
 * The memory that one `recvmmsg` fills and one `sendmmsg` sends from: slots with a datagram, an address and ancillary
 * data each, and the structures that point to them. Laid out once; per datagram a few words change.
 *
 * Owns:    one allocation that holds all of it. The kernel is given addresses inside, which the garbage collector does
 *          not see: whoever passes `receiveAt` or `sendAt` on keeps the vector.
 * Never:   calls the system, or allocates after it was made.
 * @module
 */

import {
  CMSGHDR,
  controlSpace,
  IN_PKTINFO,
  IN6_PKTINFO,
  IOVEC,
  type Layout,
  MMSGHDR,
  MSGHDR,
  SOCKADDR_IN,
  SOCKADDR_IN6,
} from "#base/native/layout.ts";
import type { Libc, Pointer } from "#dns/transport/libc.ts";
import { RESPONSE_SLOT_OCTETS } from "#dns/transport/udp.ts";
import type { Client } from "#state/respond.ts";

/**
 * Room for any datagram, so that nothing is cut off; pages that no large datagram has touched take no memory. The three
 * extra cache lines keep the slots' beginnings from falling into the same set of the processor's caches.
 */
const REQUEST_SLOT_OCTETS = 65_536 + 192;
const PAGE_OCTETS = 4_096;
const WORD_OCTETS = 4;
const CONTROL_OCTETS = controlSpace(IN6_PKTINFO.size);
const MMSGHDR_WORDS = MMSGHDR.size / WORD_OCTETS;
const LENGTH_WORD = MMSGHDR.length / WORD_OCTETS;
const CONTROL_LENGTH_WORD = MSGHDR.controlLength / WORD_OCTETS;
const IOVEC_WORDS = IOVEC.size / WORD_OCTETS;
const IOVEC_LENGTH_WORD = IOVEC.length / WORD_OCTETS;
/** fe80::/10, RFC 4291 §2.5.6: says nothing without its interface. */
const isLinkLocal = (octets: Uint8Array, at: number): boolean =>
  octets[at] === 0xfe && (octets[at + 1]! & 0xc0) === 0x80;

export type MessageVector = {
  /** `requests[slot]` and `responses[slot]`: where the kernel writes to, and reads from. */
  readonly requests: readonly Uint8Array[];
  readonly responses: readonly Uint8Array[];
  /** Address of the first struct mmsghdr for receiving. */
  readonly receiveAt: Pointer;
  /** `sendAt[slot]`: address of the struct mmsghdr of a response; those of the following slots lie behind it. */
  readonly sendAt: readonly Pointer[];
  /** Makes the slots ready to be received into again. */
  rearm(): void;
  /** Octets of the datagram in a slot. */
  requestOctets(slot: number): number;
  /** Sets address and port of `client` to the sender of the datagram in a slot. */
  readSource(slot: number, client: Client): void;
  /** Addresses response `to` to whom request `from` came from, and sends it from the address that was asked. `to` ≤ `from` */
  addressResponse(from: number, to: number, responseOctets: number): void;
};

export function createMessageVector(
  libc: Pick<Libc, "addressOf">,
  options: { readonly slots: number; readonly isIpv6: boolean; readonly isWildcard: boolean },
): MessageVector {
  const { slots, isIpv6, isWildcard } = options;
  const address: Layout<"port" | "address"> = isIpv6 ? SOCKADDR_IN6 : SOCKADDR_IN;
  const controlOctets = isWildcard ? controlSpace((isIpv6 ? IN6_PKTINFO : IN_PKTINFO).size) : 0;

  let octets = 0;
  const place = (size: number): number => {
    const at = octets;
    octets += Math.ceil((slots * size) / PAGE_OCTETS) * PAGE_OCTETS;
    return at;
  };
  const receiveHeadersAt = place(MMSGHDR.size);
  const sendHeadersAt = place(MMSGHDR.size);
  const receiveVectorsAt = place(IOVEC.size);
  const sendVectorsAt = place(IOVEC.size);
  const addressesAt = place(address.size);
  const controlsAt = place(CONTROL_OCTETS);
  const responsesAt = place(RESPONSE_SLOT_OCTETS);
  const requestsAt = place(REQUEST_SLOT_OCTETS);
  const memory = new Uint8Array(octets);
  const base = libc.addressOf(memory);
  const view = new DataView(memory.buffer);
  const point = (at: number, to: number): void => view.setBigUint64(at, base + BigInt(to), true);
  const part = (from: number, size: number) =>
    Array.from({ length: slots }, (_, slot) => memory.subarray(from + slot * size, from + (slot + 1) * size));
  const words = (from: number, count: number): Uint32Array => new Uint32Array(memory.buffer, from, slots * count);

  for (let slot = 0; slot < slots; slot++) {
    for (const [headersAt, vectorsAt, datagramsAt, datagramOctets] of [
      [receiveHeadersAt, receiveVectorsAt, requestsAt, REQUEST_SLOT_OCTETS],
      [sendHeadersAt, sendVectorsAt, responsesAt, RESPONSE_SLOT_OCTETS],
    ] as const) {
      const vectorAt = vectorsAt + slot * IOVEC.size;
      point(vectorAt + IOVEC.base, datagramsAt + slot * datagramOctets);
      view.setBigUint64(vectorAt + IOVEC.length, BigInt(datagramOctets), true);
      const headerAt = headersAt + slot * MMSGHDR.size + MMSGHDR.header;
      point(headerAt + MSGHDR.name, addressesAt + slot * address.size);
      view.setUint32(headerAt + MSGHDR.nameLength, address.size, true);
      point(headerAt + MSGHDR.vectors, vectorAt);
      view.setBigUint64(headerAt + MSGHDR.vectorCount, 1n, true);
      if (isWildcard) {
        point(headerAt + MSGHDR.control, controlsAt + slot * CONTROL_OCTETS);
        view.setBigUint64(headerAt + MSGHDR.controlLength, BigInt(controlOctets), true);
      }
    }
  }

  const receiveHeaders = words(receiveHeadersAt, MMSGHDR_WORDS);
  const sendHeaders = words(sendHeadersAt, MMSGHDR_WORDS);
  const sendVectors = words(sendVectorsAt, IOVEC_WORDS);
  const addressOctets = isIpv6 ? 16 : 4;

  /** The reply leaves from the address that was asked, by the interface that routing chooses. */
  function addressFrom(from: number, to: number): void {
    const source = controlsAt + from * CONTROL_OCTETS;
    const target = controlsAt + to * CONTROL_OCTETS;
    if (from !== to) memory.copyWithin(target, source, source + controlOctets);
    const data = target + CMSGHDR.size;
    const keepsInterface = isIpv6 && isLinkLocal(memory, data + IN6_PKTINFO.address);
    if (!keepsInterface) view.setUint32(data + (isIpv6 ? IN6_PKTINFO.interface : IN_PKTINFO.interface), 0, true);
    sendHeaders[to * MMSGHDR_WORDS + CONTROL_LENGTH_WORD] = receiveHeaders[from * MMSGHDR_WORDS + CONTROL_LENGTH_WORD]!;
  }

  return {
    requests: part(requestsAt, REQUEST_SLOT_OCTETS),
    responses: part(responsesAt, RESPONSE_SLOT_OCTETS),
    receiveAt: base + BigInt(receiveHeadersAt),
    sendAt: Array.from({ length: slots }, (_, slot) => base + BigInt(sendHeadersAt + slot * MMSGHDR.size)),
    rearm() {
      // The kernel writes back what it used. The name's length is the same for every sender of the family.
      if (!isWildcard) return;
      for (let slot = 0; slot < slots; slot++) {
        receiveHeaders[slot * MMSGHDR_WORDS + CONTROL_LENGTH_WORD] = controlOctets;
      }
    },
    requestOctets: (slot) => receiveHeaders[slot * MMSGHDR_WORDS + LENGTH_WORD]!,
    readSource(slot, client) {
      const at = addressesAt + slot * address.size;
      const into = client.address;
      for (let index = 0; index < addressOctets; index++) into[index] = memory[at + address.address + index]!;
      client.isIpv6 = isIpv6;
      client.port = (memory[at + address.port]! << 8) | memory[at + address.port + 1]!;
    },
    addressResponse(from, to, responseOctets) {
      sendVectors[to * IOVEC_WORDS + IOVEC_LENGTH_WORD] = responseOctets;
      if (from !== to) {
        const source = addressesAt + from * address.size;
        memory.copyWithin(addressesAt + to * address.size, source, source + address.size);
      }
      if (isWildcard) addressFrom(from, to);
    },
  };
}
