/**
 * An admission plan as a classic BPF program for SO_ATTACH_FILTER (Linux, Documentation/networking/filter.rst): the
 * kernel then drops what is not let in before it reaches the socket's queue, for some tens of ns each.
 *
 * Offsets count from the UDP header; the source address lies before it, reached through `NETWORK`.
 * @module
 */
import {
  type AdmissionPlan,
  CASE_BITS,
  CLASSES,
  KEY_FACTOR,
  KNOWN_NAME,
  KNOWN_SOURCE,
  NAME_KEY_OCTETS,
} from "#dns/guard/admission.ts";

/** Opcodes, linux/bpf_common.h. */
const LOAD_WORD = 0x20;
const LOAD_LENGTH = 0x80;
const LOAD_NUMBER = 0x00;
const LOAD_CELL = 0x60;
const STORE_CELL = 0x02;
const LOAD_INDEX_CELL = 0x61;
const OR = 0x44;
const MULTIPLY = 0x24;
const SHIFT_RIGHT = 0x74;
const XOR_INDEX = 0xac;
const JUMP = 0x05;
const JUMP_EQUAL = 0x15;
const JUMP_AT_LEAST = 0x35;
const RETURN = 0x06;

const NETWORK = 0xfff00000; // SKF_NET_OFF
const RANDOM = 0xfffff038; // SKF_AD_OFF + SKF_AD_RANDOM
const IPV4_SOURCE = NETWORK + 12;
const IPV6_SOURCE = NETWORK + 8;
const UDP_HEADER_OCTETS = 8;
const QUESTION_AT = UDP_HEADER_OCTETS + 12;
const TAKE_ALL = 0xffffffff;
const DROP = 0;
/** Scratch cells. */
const CLASS_CELL = 0;
const KEY_CELL = 1;
/** Keys that are compared one by one at the end of a binary search. */
const LINEAR_KEYS = 4;

type Instruction = { code: number; yes: number; no: number; value: number };

/** @returns the program, 8 octets an instruction (struct sock_filter), in the byte order of this machine's kernel */
export function compileAdmission(plan: AdmissionPlan, isIpv6: boolean): Uint8Array {
  const program: Instruction[] = [];
  const emit = (code: number, value = 0, yes = 0, no = 0): number =>
    program.push({ code, yes, no, value: value >>> 0 }) - 1;
  /** Conditional jumps reach 255 instructions, the plain one any distance: so each condition steps over a plain one. */
  const jump = (): number => emit(JUMP);
  const land = (...from: number[]): void => {
    for (const at of from) program[at]!.value = program.length - at - 1;
  };

  /** Looks for the accumulator in `keys[low, high)`; collects jumps taken on a match and falls or jumps out on none. */
  function search(keys: Uint32Array, low: number, high: number, found: number[], missed: number[]): void {
    if (high - low <= LINEAR_KEYS) {
      for (let index = low; index < high; index++) {
        emit(JUMP_EQUAL, keys[index]!, 0, 1);
        found.push(jump());
      }
      missed.push(jump());
      return;
    }
    const middle = (low + high) >>> 1;
    emit(JUMP_AT_LEAST, keys[middle]!, 0, 1);
    const right = jump();
    search(keys, low, middle, found, missed);
    land(right);
    search(keys, middle, high, found, missed);
  }
  /** Sets `bit` of the class where the accumulator is one of `keys`. */
  function mark(keys: Uint32Array, bit: number): void {
    const found: number[] = [];
    const missed: number[] = [];
    search(keys, 0, keys.length, found, missed);
    land(...found);
    emit(LOAD_CELL, CLASS_CELL);
    emit(OR, bit);
    emit(STORE_CELL, CLASS_CELL);
    land(...missed);
  }
  const keepKey = () => {
    emit(STORE_CELL, KEY_CELL);
    emit(LOAD_INDEX_CELL, KEY_CELL);
  };

  emit(LOAD_NUMBER, 0);
  emit(STORE_CELL, CLASS_CELL);
  // The key of the source, as `sourceKey` makes it.
  if (isIpv6) {
    emit(LOAD_WORD, IPV6_SOURCE);
    emit(MULTIPLY, KEY_FACTOR);
    keepKey();
    emit(LOAD_WORD, IPV6_SOURCE + 4);
    emit(SHIFT_RIGHT, 16);
    emit(XOR_INDEX);
  } else {
    emit(LOAD_WORD, IPV4_SOURCE);
    emit(SHIFT_RIGHT, 8);
  }
  mark(plan.sources, KNOWN_SOURCE);
  // The key of the name, as `nameKey` makes it; a load beyond the end would drop the packet.
  emit(LOAD_LENGTH);
  emit(JUMP_AT_LEAST, QUESTION_AT + NAME_KEY_OCTETS, 1, 0);
  const tooShort = jump();
  emit(LOAD_WORD, QUESTION_AT);
  for (const at of [QUESTION_AT + 4, QUESTION_AT + 8]) {
    emit(OR, CASE_BITS);
    if (at !== QUESTION_AT + 4) emit(XOR_INDEX);
    emit(MULTIPLY, KEY_FACTOR);
    keepKey();
    emit(LOAD_WORD, at);
  }
  emit(OR, CASE_BITS);
  emit(XOR_INDEX);
  mark(plan.names, KNOWN_NAME);
  land(tooShort);
  for (let number = 0; number < CLASSES; number++) {
    const share = plan.shares[number]!;
    emit(LOAD_CELL, CLASS_CELL);
    emit(JUMP_EQUAL, number, 1, 0);
    const other = jump();
    if (share < 1) {
      emit(LOAD_WORD, RANDOM);
      emit(JUMP_AT_LEAST, Math.floor(share * 2 ** 32), 0, 1);
      emit(RETURN, DROP);
    }
    emit(RETURN, TAKE_ALL);
    land(other);
  }
  emit(RETURN, TAKE_ALL);

  const octets = new Uint8Array(program.length * 8);
  const view = new DataView(octets.buffer);
  for (const [index, { code, yes, no, value }] of program.entries()) {
    view.setUint16(index * 8, code, true);
    view.setUint8(index * 8 + 2, yes);
    view.setUint8(index * 8 + 3, no);
    view.setUint32(index * 8 + 4, value, true);
  }
  return octets;
}
