/**
 * The text of a source address, as Node hands it over, into the octets of a `Client`, without allocating.
 * @module
 */
import type { Client } from "#state/respond.ts";

const COLON = 58;
const DOT = 46;
const PERCENT = 37;

/** Reads a dotted quad from `start` into `into[at, at + 4)`; the kernel made the text, so it is well formed. */
function readIpv4(text: string, start: number, into: Uint8Array, at: number): void {
  let value = 0;
  for (let index = start; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code === DOT) {
      into[at++] = value;
      value = 0;
    } else value = value * 10 + (code - 48);
  }
  into[at] = value;
}

const hexDigit = (code: number): number => (code <= 57 ? code - 48 : (code | 0x20) - 87);

function readIpv6(text: string, into: Uint8Array): void {
  let at = 0; // octets written
  let gapAt = -1; // where `::` stood
  let value = 0;
  let hasDigits = false;
  let groupStart = 0;
  let index = 0;
  for (; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code === PERCENT) break; // zone index of a link-local address
    if (code === DOT) {
      readIpv4(text, groupStart, into, at);
      at += 4;
      hasDigits = false;
      break;
    }
    if (code === COLON) {
      if (hasDigits) {
        into[at++] = value >>> 8;
        into[at++] = value;
        value = 0;
        hasDigits = false;
      } else if (index > 0) gapAt = at;
      groupStart = index + 1;
    } else {
      value = (value << 4) | hexDigit(code);
      hasDigits = true;
    }
  }
  if (hasDigits) {
    into[at++] = value >>> 8;
    into[at++] = value;
  }
  if (gapAt >= 0 && at < 16) {
    into.copyWithin(16 - (at - gapAt), gapAt, at);
    into.fill(0, gapAt, 16 - (at - gapAt));
  }
}

/** Sets `client.address` and `client.isIpv6`; an IPv4-mapped address (RFC 4291 §2.5.5.2) becomes the IPv4 one. */
export function readSource(text: string, isIpv6: boolean, client: Client): void {
  const { address } = client;
  client.isIpv6 = isIpv6;
  if (!isIpv6) {
    readIpv4(text, 0, address, 0);
    return;
  }
  readIpv6(text, address);
  if (address[0] !== 0 || address[10] !== 0xff || address[11] !== 0xff) return;
  for (let index = 1; index < 10; index++) if (address[index] !== 0) return;
  address.copyWithin(0, 12, 16);
  client.isIpv6 = false;
}
