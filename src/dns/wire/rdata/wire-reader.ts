/**
 * Reads the wire form of one record's resource data, field by field, for its text and to check it.
 *
 * After the first problem the other calls return empty values, so that a type's `format` is a plain list of its fields.
 * @module
 */
import { formatIp } from "#base/ip.ts";
import { formatCharacterString } from "#dns/wire/character-string.ts";
import { describeFault } from "#dns/wire/fault.ts";
import { formatName, skipName } from "#dns/wire/name.ts";

export type WireProblem = { readonly says: string; readonly fix: string };

export class WireReader {
  problem: WireProblem | undefined;
  private readonly rdata: Uint8Array;
  private at = 0;

  constructor(rdata: Uint8Array) {
    this.rdata = rdata;
  }

  fail(says: string, fix: string): void {
    this.problem ??= { says, fix };
  }

  hasMore(): boolean {
    return this.problem === undefined && this.at < this.rdata.length;
  }

  /** Octets left. */
  get left(): number {
    return this.rdata.length - this.at;
  }

  bytes(count: number, field: string): Uint8Array {
    if (this.problem === undefined && this.at + count > this.rdata.length) {
      this.fail(`The ${field} is cut off`, `Give all ${count} octets of it`);
    }
    if (this.problem !== undefined) return new Uint8Array(0);
    this.at += count;
    return this.rdata.subarray(this.at - count, this.at);
  }

  u8(field: string): number {
    return this.bytes(1, field)[0] ?? 0;
  }

  u16(field: string): number {
    const octets = this.bytes(2, field);
    return octets.length === 2 ? (octets[0]! << 8) | octets[1]! : 0;
  }

  u32(field: string): number {
    return this.u16(field) * 0x1_0000 + this.u16(field);
  }

  name(field: string): string {
    if (this.problem !== undefined) return "";
    let next = skipName(this.rdata, this.at);
    if (next > 0) {
      // A pointer means nothing outside of its message.
      for (let at = this.at; at < next; at += 1 + this.rdata[at]!) if (this.rdata[at]! >= 0xc0) next = -2;
    }
    if (next < 0) {
      const { says, fix } = describeFault(next);
      this.fail(`The ${field} ${says}`, fix);
      return "";
    }
    const text = formatName(this.rdata, this.at);
    this.at = next;
    return text;
  }

  ip(octets: 4 | 16, field: string): string {
    const bytes = this.bytes(octets, field);
    return bytes.length === octets ? formatIp(bytes) : "";
  }

  characterString(field: string): string {
    return formatCharacterString(this.bytes(this.u8(field), field));
  }

  /** The octets that are left, taken; at least `least`. */
  rest(field: string, least = 0): Uint8Array {
    return this.bytes(Math.max(least, this.left), field);
  }

  hexRest(field: string, least = 0): string {
    return this.rest(field, least).toHex();
  }

  base64Rest(field: string, least = 0): string {
    return formatBase64(this.rest(field, least));
  }
}

const formatBase64 = (octets: Uint8Array): string => octets.toBase64();
