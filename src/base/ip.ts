/**
 * IP addresses and CIDR networks as octets: 4 for IPv4, 16 for IPv6. Text only at the edges.
 * @module
 */
export type IpBytes = Uint8Array;
/** `bits` counts from the left of `bytes`; octets beyond it are zero. */
export type Cidr = { readonly bytes: IpBytes; readonly bits: number };

/** @returns 4 octets, or undefined when `text` is not a dotted quad without leading zeros (RFC 6943 §3.1.1). */
export function parseIpv4(text: string): IpBytes | undefined {
  if (text.length < 7 || text.length > 15) return undefined;
  const bytes = new Uint8Array(4);
  let part = 0;
  let digits = 0;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code === 0x2e) {
      if (digits === 0 || ++part > 3) return undefined;
      digits = 0;
      continue;
    }
    const digit = code - 0x30;
    const before = bytes[part]!;
    if (digit < 0 || digit > 9 || (digits > 0 && before === 0) || before * 10 + digit > 255) return undefined;
    bytes[part] = before * 10 + digit;
    digits++;
  }
  return part === 3 && digits > 0 ? bytes : undefined;
}

/** @returns 16 octets, or undefined when `text` is not an IPv6 address (RFC 4291 §2.2; no zone index). */
export function parseIpv6(text: string): IpBytes | undefined {
  const halves = text.split("::");
  if (halves.length > 2 || text.length < 2) return undefined;
  const left = halves[0] === "" ? [] : halves[0]!.split(":");
  const right = halves.length === 1 || halves[1] === "" ? [] : halves[1]!.split(":");
  const last = right.length > 0 ? right : left;
  const tail = last.at(-1);
  if (tail?.includes(".")) {
    if (halves.length === 2 && right.length === 0) return undefined; // "1.2.3.4::"
    const quad = parseIpv4(tail);
    if (!quad) return undefined;
    last.splice(-1, 1, ((quad[0]! << 8) | quad[1]!).toString(16), ((quad[2]! << 8) | quad[3]!).toString(16));
  }
  const count = left.length + right.length;
  if (halves.length === 1 ? count !== 8 : count > 7) return undefined;
  const groups = [...left, ...new Array<string>(8 - count).fill("0"), ...right];
  const bytes = new Uint8Array(16);
  for (let index = 0; index < 8; index++) {
    const group = groups[index]!;
    if (!/^[0-9a-fA-F]{1,4}$/.test(group)) return undefined;
    const value = Number.parseInt(group, 16);
    bytes[index * 2] = value >>> 8;
    bytes[index * 2 + 1] = value & 0xff;
  }
  return bytes;
}

export const parseIp = (text: string): IpBytes | undefined => (text.includes(":") ? parseIpv6(text) : parseIpv4(text));

/** Canonical text (RFC 5952): lower case, longest run of zero groups shortened, first one on ties. */
export function formatIp(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join(".");
  const groups: number[] = [];
  for (let index = 0; index < 16; index += 2) groups.push((bytes[index]! << 8) | bytes[index + 1]!);
  let bestStart = -1;
  let bestLength = 1;
  for (let start = 0; start < 8; start++) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === 0) length++;
    if (length > bestLength) {
      bestStart = start;
      bestLength = length;
    }
  }
  const text = (part: number[]) => part.map((group) => group.toString(16)).join(":");
  if (bestStart < 0) return text(groups);
  return `${text(groups.slice(0, bestStart))}::${text(groups.slice(bestStart + bestLength))}`;
}

/** The IPv4 address inside `::ffff:0:0/96`, else the address itself. */
export function unmapIp(bytes: IpBytes): IpBytes {
  if (bytes.length !== 16 || bytes[10] !== 0xff || bytes[11] !== 0xff) return bytes;
  for (let index = 0; index < 10; index++) if (bytes[index] !== 0) return bytes;
  return bytes.slice(12);
}

/** A copy of `bytes` with all but the first `bits` bits cleared. */
export function maskIp(bytes: Uint8Array, bits: number): IpBytes {
  const masked = new Uint8Array(bytes.length);
  const whole = bits >>> 3;
  masked.set(bytes.subarray(0, whole));
  if (whole < bytes.length && (bits & 7) !== 0) masked[whole] = bytes[whole]! & (0xff << (8 - (bits & 7)));
  return masked;
}

/**
 * `192.0.2.0/24` or a bare address (all its bits).
 * @returns undefined for bad text, a prefix out of range, or bits set beyond the prefix
 */
export function parseCidr(text: string): Cidr | undefined {
  const slash = text.indexOf("/");
  const bytes = parseIp(slash < 0 ? text : text.slice(0, slash));
  if (!bytes) return undefined;
  if (slash < 0) return { bytes, bits: bytes.length * 8 };
  const bitsText = text.slice(slash + 1);
  if (!/^(0|[1-9][0-9]{0,2})$/.test(bitsText) || Number(bitsText) > bytes.length * 8) return undefined;
  const bits = Number(bitsText);
  const masked = maskIp(bytes, bits);
  return masked.every((octet, index) => octet === bytes[index]) ? { bytes, bits } : undefined;
}

export const formatCidr = (cidr: Cidr): string => `${formatIp(cidr.bytes)}/${cidr.bits}`;

/** `10.0.0.1:80`, `[2001:db8::1]:80`, `web.internal:80`: how backends and listeners are named everywhere. */
export const endpointText = (host: string, port: number): string =>
  host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;

export function cidrContains(cidr: Cidr, address: Uint8Array): boolean {
  if (cidr.bytes.length !== address.length) return false;
  const whole = cidr.bits >>> 3;
  for (let index = 0; index < whole; index++) if (cidr.bytes[index] !== address[index]) return false;
  const rest = cidr.bits & 7;
  return rest === 0 || (cidr.bytes[whole]! ^ address[whole]!) >>> (8 - rest) === 0;
}
