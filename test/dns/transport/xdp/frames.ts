/**
 * Ethernet frames made and read octet by octet, as the RFCs draw them: what the engine is compared with.
 */

export type FrameParts = {
  readonly version: 4 | 6;
  /** IEEE 802.1Q: the 16 bits behind 0x8100; undefined: there is no tag. */
  readonly tag?: number;
  readonly toMac: Uint8Array;
  readonly fromMac: Uint8Array;
  /** 4 or 16 octets. */
  readonly from: Uint8Array;
  readonly to: Uint8Array;
  readonly fromPort: number;
  readonly toPort: number;
  readonly message: Uint8Array;
};

const pair = (value: number): number[] => [(value >>> 8) & 0xff, value & 0xff];

/** RFC 1071 §1, by the octet. @returns 16 bits */
export function checksum(octets: readonly number[]): number {
  let sum = 0;
  for (let index = 0; index < octets.length; index += 2) {
    sum += octets[index]! * 256 + (octets[index + 1] ?? 0);
    if (sum > 0xffff) sum -= 0xffff;
  }
  return 0xffff - sum;
}

/** RFC 768, RFC 8200 §8.1: over the pseudo header, with the checksum's field as it stands in `udp`. */
export const udpChecksum = (from: Uint8Array, to: Uint8Array, udp: readonly number[]): number =>
  checksum([...from, ...to, 0, 17, ...pair(udp.length), ...udp]);

export function makeFrame(parts: FrameParts): Uint8Array {
  const { version, tag, from, to, message } = parts;
  const udpLength = pair(8 + message.length);
  const udp = [...pair(parts.fromPort), ...pair(parts.toPort), ...udpLength, 0, 0, ...message];
  udp.splice(6, 2, ...pair(udpChecksum(from, to, udp) || 0xffff));
  let ip: number[];
  if (version === 4) {
    ip = [0x45, 0, ...pair(20 + udp.length), 0x12, 0x34, 0x40, 0, 57, 17, 0, 0, ...from, ...to];
    ip.splice(10, 2, ...pair(checksum(ip)));
  } else {
    ip = [0x60, 1, 2, 3, ...pair(udp.length), 17, 57, ...from, ...to];
  }
  const type = pair(version === 4 ? 0x0800 : 0x86dd);
  const tagged = tag === undefined ? [] : [0x81, 0, ...pair(tag)];
  return Uint8Array.from([...parts.toMac, ...parts.fromMac, ...tagged, ...type, ...ip, ...udp]);
}

/** @returns the frame's parts; throws with what is wrong with it, checksums and lengths included. */
export function parseFrame(frame: Uint8Array): FrameParts & { readonly hops: number } {
  const expect = (isSo: boolean, says: string): void => {
    if (!isSo) throw new Error(`${says}: ${Buffer.from(frame).toString("hex")}`);
  };
  const number = (at: number): number => frame[at]! * 256 + frame[at + 1]!;
  const isTagged = number(12) === 0x8100;
  const ipAt = isTagged ? 18 : 14;
  const version = number(ipAt - 2) === 0x0800 ? 4 : 6;
  let udpAt: number;
  let addressesAt: number;
  if (version === 4) {
    udpAt = ipAt + 20;
    addressesAt = ipAt + 12;
    expect(frame[ipAt] === 0x45 && frame[ipAt + 9] === 17, "no UDP in IPv4 without options");
    expect(number(ipAt + 2) === frame.length - ipAt, "IPv4's length is not the frame's");
    expect(checksum([...frame.subarray(ipAt, udpAt)]) === 0, "wrong checksum of IPv4");
    expect((number(ipAt + 6) & 0x3fff) === 0, "a fragment");
  } else {
    udpAt = ipAt + 40;
    addressesAt = ipAt + 8;
    expect(number(ipAt - 2) === 0x86dd, "neither IPv4 nor IPv6");
    expect(frame[ipAt]! >>> 4 === 6 && frame[ipAt + 6] === 17, "no UDP in IPv6");
    expect(number(ipAt + 4) === frame.length - udpAt, "IPv6's length is not the frame's");
  }
  const octets = version === 4 ? 4 : 16;
  const from = frame.slice(addressesAt, addressesAt + octets);
  const to = frame.slice(addressesAt + octets, addressesAt + 2 * octets);
  const udp = [...frame.subarray(udpAt)];
  expect(number(udpAt + 4) === udp.length, "UDP's length is not the frame's");
  expect(number(udpAt + 6) !== 0, "no checksum of UDP");
  expect(udpChecksum(from, to, udp) === 0, "wrong checksum of UDP");
  return {
    version,
    ...(isTagged ? { tag: number(14) } : {}),
    toMac: frame.slice(0, 6),
    fromMac: frame.slice(6, 12),
    from,
    to,
    fromPort: number(udpAt),
    toPort: number(udpAt + 2),
    message: frame.slice(udpAt + 8),
    hops: frame[version === 4 ? ipAt + 8 : ipAt + 7]!,
  };
}
