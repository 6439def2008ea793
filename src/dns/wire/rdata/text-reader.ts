/**
 * Reads the resource data of one record from tokens and writes its wire form, field by field.
 *
 * After the first problem the other calls do nothing, so that a type's `parse` is a plain list of its fields.
 * @module
 */
import { parseIpv4, parseIpv6 } from "#base/ip.ts";
import { MAX_CHARACTER_STRING_OCTETS, unescapeOctets } from "#dns/wire/character-string.ts";
import { describeFault } from "#dns/wire/fault.ts";
import { parseName } from "#dns/wire/name.ts";
import { parseTtl } from "#dns/wire/ttl.ts";

/** A word or a quoted string of a master file, escapes not yet undone, quotes removed. */
export type RdataToken = { text: string; isQuoted: boolean };

export type RdataProblem = {
  /** Index of the token to blame; one past the last when something is missing. */
  readonly token: number;
  readonly says: string;
  readonly fix: string;
};

const MAX_RDATA_OCTETS = 0xffff;
/** One token may unfold to at most its length in octets; long ones are refused before they are written. */
const scratch = new Uint8Array(MAX_RDATA_OCTETS * 2);

export class TextReader {
  problem: RdataProblem | undefined;
  private readonly tokens: readonly RdataToken[];
  private readonly end: number;
  private readonly origin: Uint8Array | undefined;
  private at: number;
  private length = 0;

  /**
   * @param tokens of which those from `start` up to, without, `end` are resource data
   * @param origin completes relative names; without it they are problems
   */
  constructor(tokens: readonly RdataToken[], start: number, end: number, origin: Uint8Array | undefined) {
    this.tokens = tokens;
    this.at = start;
    this.end = end;
    this.origin = origin;
  }

  /** The octets written so far, as a copy. */
  octets(): Uint8Array {
    return scratch.slice(0, this.length);
  }

  get octetCount(): number {
    return this.length;
  }

  hasMore(): boolean {
    return this.problem === undefined && this.at < this.end;
  }

  /** Notes a problem with the token read last, unless there is one already. */
  fail(says: string, fix: string, token = Math.max(0, this.at - 1)): void {
    this.problem ??= { token, says, fix };
  }

  /** The next token's text, or "" once there is a problem; a missing one is a problem. */
  word(field: string): string {
    if (this.problem !== undefined) return "";
    if (this.at >= this.end) {
      this.fail(`The ${field} is missing`, `Add the ${field}`, this.end);
      return "";
    }
    return this.tokens[this.at++]!.text;
  }

  /** The next token's text without taking it; undefined at the end. */
  peek(): string | undefined {
    return this.hasMore() ? this.tokens[this.at]!.text : undefined;
  }

  /** An unsigned decimal number, not written. */
  number(field: string, max: number): number {
    const text = this.word(field);
    if (this.problem !== undefined) return 0;
    let value = text.length > 0 && text.length <= 10 ? 0 : -1;
    for (let index = 0; index < text.length && value >= 0; index++) {
      const digit = text.charCodeAt(index) - 0x30;
      value = digit >= 0 && digit <= 9 ? value * 10 + digit : -1;
    }
    if (value < 0 || value > max) {
      this.fail(`The ${field} ${quote(text)} is not a number from 0 to ${max}`, `Write a number from 0 to ${max}`);
      return 0;
    }
    return value;
  }

  u8(field: string): number {
    const value = this.number(field, 0xff);
    this.putU8(value);
    return value;
  }

  u16(field: string): number {
    const value = this.number(field, 0xffff);
    this.putU16(value);
    return value;
  }

  u32(field: string): number {
    const value = this.number(field, 0xffff_ffff);
    this.putU32(value);
    return value;
  }

  /** Seconds in 32 bits, units allowed. */
  seconds(field: string): void {
    const text = this.word(field);
    if (this.problem !== undefined) return;
    const value = parseTtl(text);
    if (value < 0) {
      this.fail(`The ${field} ${quote(text)} is not a time`, "Write seconds up to 4294967295, or such as 1h30m");
    }
    this.putU32(value);
  }

  /** A number or one of the words of `mnemonics`, not written. */
  choice(field: string, mnemonics: Readonly<Record<string, number>>, max: number): number {
    const text = this.peek();
    if (text !== undefined) {
      const upper = text.toUpperCase();
      if (Object.hasOwn(mnemonics, upper)) {
        this.at++;
        return mnemonics[upper]!;
      }
      if (!/^[0-9]+$/.test(text)) {
        this.at++;
        const known = Object.keys(mnemonics).join(", ");
        this.fail(`The ${field} ${quote(text)} is unknown`, `Write a number from 0 to ${max}, or one of ${known}`);
        return 0;
      }
    }
    return this.number(field, max);
  }

  name(field: string): void {
    const text = this.word(field);
    if (this.problem !== undefined) return;
    if (this.origin === undefined && !isAbsoluteText(text)) {
      this.fail(`The ${field} ${quote(text)} is relative, and there is no origin`, "End it in a dot, or set $ORIGIN");
      return;
    }
    const name = parseName(text, this.origin);
    if (typeof name === "number") {
      const { says, fix } = describeFault(name);
      this.fail(`The ${field} ${quote(text)} ${says}`, fix);
      return;
    }
    this.putBytes(name);
  }

  ipv4(field: string): void {
    const text = this.word(field);
    if (this.problem !== undefined) return;
    const bytes = parseIpv4(text);
    if (!bytes) {
      const fix = text.includes(":") ? "Use AAAA for IPv6" : "Write four numbers up to 255, such as 192.0.2.1";
      this.fail(`The ${field} ${quote(text)} is not an IPv4 address`, fix);
      return;
    }
    this.putBytes(bytes);
  }

  ipv6(field: string): void {
    const text = this.word(field);
    if (this.problem !== undefined) return;
    const bytes = parseIpv6(text);
    if (!bytes) {
      const fix = text.includes(":") ? "Write it such as 2001:db8::1" : "Use A for IPv4";
      this.fail(`The ${field} ${quote(text)} is not an IPv6 address`, fix);
      return;
    }
    this.putBytes(bytes);
  }

  /** Octets behind a length octet. */
  characterString(field: string): void {
    const lengthAt = this.length;
    this.putU8(0);
    const octets = this.rawText(field);
    if (octets > MAX_CHARACTER_STRING_OCTETS) {
      this.fail(`The ${field} has ${octets} octets`, "Split it into strings of at most 255 octets, each in quotes");
    }
    if (this.problem === undefined) scratch[lengthAt] = octets;
  }

  /**
   * The octets of the next token with escapes undone, without a length.
   * @returns how many
   */
  rawText(field: string): number {
    const text = this.word(field);
    if (this.problem !== undefined) return 0;
    if (text.length * 3 > scratch.length - this.length) {
      this.tooLong();
      return 0;
    }
    const end = unescapeOctets(text, scratch, this.length);
    if (end < 0) {
      const { says, fix } = describeFault(-8);
      this.fail(`The ${field} ${quote(text)} ${says}`, fix);
      return 0;
    }
    const octets = end - this.length;
    this.length = end;
    this.checkLength();
    return octets;
  }

  /** All tokens left, joined: blanks inside long base64 and hex fields mean nothing. */
  rest(field: string): string {
    let text = this.word(field);
    while (this.hasMore()) text += this.tokens[this.at++]!.text;
    return text;
  }

  /** Hex digits to the end, written. `isOptional`: there may be none. */
  hexRest(field: string, isOptional = false): void {
    if (isOptional && !this.hasMore()) return;
    const before = this.length;
    this.hex(field, this.rest(field));
    if (!isOptional && this.length === before)
      this.fail(`The ${field} is empty`, "Write two hex digits for each octet");
  }

  /** One token of hex digits, written. */
  hex(field: string, text: string): void {
    if (this.problem !== undefined) return;
    if (text.length % 2 !== 0) {
      this.fail(`The ${field} has an odd number of hex digits`, "Write two hex digits for each octet");
    } else if (!/^[0-9A-Fa-f]*$/.test(text)) {
      this.fail(`The ${field} ${quote(text)} is not hex`, "Use the digits 0 to 9 and a to f");
    } else {
      this.putBytes(Uint8Array.fromHex(text));
    }
  }

  /** Base64 to the end, written. `isOptional`: there may be none. */
  base64Rest(field: string, isOptional = false): void {
    if (isOptional && !this.hasMore()) return;
    const before = this.length;
    this.base64(field, this.rest(field));
    if (!isOptional && this.length === before) this.fail(`The ${field} is empty`, "Write it in base64 (RFC 4648)");
  }

  base64(field: string, text: string): void {
    if (this.problem !== undefined) return;
    if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text) || text.length % 4 !== 0) {
      this.fail(`The ${field} ${quote(text)} is not base64`, "Use A-Z a-z 0-9 + / with = at the end (RFC 4648)");
      return;
    }
    this.putBytes(Uint8Array.fromBase64(text));
  }

  putU8(value: number): void {
    if (this.checkLength(1)) scratch[this.length++] = value;
  }

  putU16(value: number): void {
    this.putU8(value >>> 8);
    this.putU8(value & 0xff);
  }

  putU32(value: number): void {
    this.putU16(value >>> 16);
    this.putU16(value & 0xffff);
  }

  putBytes(bytes: Uint8Array): void {
    if (!this.checkLength(bytes.length)) return;
    for (let index = 0; index < bytes.length; index++) scratch[this.length++] = bytes[index]!;
  }

  /** Sets an octet written before: length fields are known last. */
  patchU8(at: number, value: number): void {
    if (this.problem === undefined) scratch[at] = value;
  }

  private checkLength(more = 0): boolean {
    if (this.problem === undefined && this.length + more > MAX_RDATA_OCTETS) this.tooLong();
    return this.problem === undefined;
  }

  private tooLong(): void {
    this.fail(`The data is longer than ${MAX_RDATA_OCTETS} octets`, "Shorten it: a record cannot hold more");
  }
}

/** Whether the text of a name ends in a dot that is not escaped; `@` is not absolute. */
export function isAbsoluteText(text: string): boolean {
  if (!text.endsWith(".")) return false;
  let backslashes = 0;
  for (let index = text.length - 2; index >= 0 && text.charCodeAt(index) === 0x5c; index--) backslashes++;
  return backslashes % 2 === 0;
}

/** A value for a sentence: quoted, cut at 40 characters, nothing in it that could end a line of a log. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
}
