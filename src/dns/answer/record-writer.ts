/**
 * Writes records with compressed names (RFC 1035 §4.1.4) while an answer is compiled.
 *
 * Owns:    the buffer, the list of names that may be pointed to, and the list of pointers written.
 * Never:   compresses into types that came after RFC 1035 (RFC 3597 §4), or points behind what 14 bits reach.
 * @module
 */
import { MAX_TCP_MESSAGE_OCTETS } from "#dns/wire/edns.ts";
import { HEADER_OCTETS, QUESTION_TAIL_OCTETS } from "#dns/wire/header.ts";
import { LOWER, MAX_NAME_OCTETS } from "#dns/wire/name.ts";

/** A record ends at the latest here; behind it is room for what an overflow writes before it is noticed. */
const BUFFER_OCTETS = MAX_TCP_MESSAGE_OCTETS + 512;
/**
 * Octets of the body in which names may be pointed to: with header, the longest question and its tail, a pointer still
 * has 14 bits, however long the name is for which the template is used.
 */
const REACH_OCTETS = 0x4000 - HEADER_OCTETS - MAX_NAME_OCTETS - QUESTION_TAIL_OCTETS;
const MAX_TARGETS = 4096;

export type RecordWriter = {
  readonly octets: Uint8Array;
  /** Where the next octet goes. */
  at: number;
  bodyAt: number;
  /** More than a message holds was written: what lies in `octets` is useless. */
  isOverfull: boolean;
  readonly targets: Uint16Array;
  targetCount: number;
  /** Positions, counted from `bodyAt`, of the pointers that move with the length of the question's name. */
  readonly pointers: Uint16Array;
  pointerCount: number;
};

export const createRecordWriter = (): RecordWriter => ({
  octets: new Uint8Array(BUFFER_OCTETS),
  at: 0,
  bodyAt: 0,
  isOverfull: false,
  targets: new Uint16Array(MAX_TARGETS),
  targetCount: 0,
  pointers: new Uint16Array(MAX_TCP_MESSAGE_OCTETS),
  pointerCount: 0,
});

/** Starts the body of an answer to a question for `length` octets of `name` from `at` on. */
export function beginBody(writer: RecordWriter, name: Uint8Array, at: number, length: number): void {
  writer.targetCount = 0;
  writer.pointerCount = 0;
  writer.isOverfull = false;
  let next: number = HEADER_OCTETS;
  for (let index = 0; index < length; index++) writer.octets[next + index] = name[at + index]!;
  while (writer.octets[next] !== 0) {
    writer.targets[writer.targetCount++] = next;
    next += 1 + writer.octets[next]!;
  }
  writer.bodyAt = next + 1 + QUESTION_TAIL_OCTETS;
  writer.at = writer.bodyAt;
}

function writeOctet(writer: RecordWriter, value: number): void {
  if (writer.at >= BUFFER_OCTETS) writer.isOverfull = true;
  else writer.octets[writer.at++] = value;
}

export function writeUint16(writer: RecordWriter, value: number): void {
  writeOctet(writer, value >>> 8);
  writeOctet(writer, value & 0xff);
}

export function writeUint32(writer: RecordWriter, value: number): void {
  writeUint16(writer, value >>> 16);
  writeUint16(writer, value & 0xffff);
}

export function writeOctets(writer: RecordWriter, source: Uint8Array, at: number, length: number): void {
  for (let index = 0; index < length; index++) writeOctet(writer, source[at + index]!);
}

/** Writes the uncompressed name at `at` in `source`, its known end as a pointer, in the case of `source`. */
export function writeName(writer: RecordWriter, source: Uint8Array, at: number): void {
  const known = writer.targetCount; // the labels of this name itself are no targets before it is complete
  for (;;) {
    const length = source[at]!;
    if (length === 0) {
      writeOctet(writer, 0);
      return;
    }
    const target = findTarget(writer, source, at, known);
    if (target >= 0) {
      writer.pointers[writer.pointerCount++] = writer.at - writer.bodyAt;
      writeUint16(writer, 0xc000 | target);
      return;
    }
    if (writer.at - writer.bodyAt < REACH_OCTETS && writer.targetCount < MAX_TARGETS) {
      writer.targets[writer.targetCount++] = writer.at;
    }
    writeOctets(writer, source, at, 1 + length);
    at += 1 + length;
  }
}

/** Offset in the message where the uncompressed name at `at` in `source` already stands, in any case; -1: nowhere. */
export function findTarget(writer: RecordWriter, source: Uint8Array, at: number, known = writer.targetCount): number {
  for (let index = 0; index < known; index++) {
    const target = writer.targets[index]!;
    if (isNameAt(writer.octets, target, source, at)) return target;
  }
  return -1;
}

function isNameAt(octets: Uint8Array, target: number, source: Uint8Array, at: number): boolean {
  for (;;) {
    let length = octets[target]!;
    while (length >= 0xc0) {
      target = ((length & 0x3f) << 8) | octets[target + 1]!;
      length = octets[target]!;
    }
    if (length !== source[at]) return false;
    if (length === 0) return true;
    for (let index = 1; index <= length; index++) {
      if (LOWER[octets[target + index]!] !== LOWER[source[at + index]!]) return false;
    }
    target += 1 + length;
    at += 1 + length;
  }
}
