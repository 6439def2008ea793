/**
 * An assembler for eBPF (RFC 9669): instructions as values, jumps to labels.
 *
 * Owns:    the encoding. What the program means is its author's affair, and whether it is safe the kernel's verifier's.
 * Never:   talks to the kernel. Units: offsets in octets; a jump's distance is counted in instructions by `assemble`.
 * @module
 */

/** r0: results. r1 to r5: arguments, lost in a call. r6 to r9: kept. r10: the end of the stack, 512 octets. */
export type Register = `r${0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9 | 10}`;
/** Octets of a load or a store. */
export type Width = 1 | 2 | 4 | 8;
/** Numbers, unsigned. `&`: any of these bits is set. */
export type Test = "==" | "!=" | ">" | ">=" | "<" | "<=" | "&";

export type Instruction = {
  readonly code: number;
  readonly to: number;
  readonly from: number;
  readonly offset: number;
  readonly value: number;
  readonly jumpsTo?: string;
};
export type Label = { readonly label: string };
export type Step = Instruction | Label;

const INSTRUCTION_OCTETS = 8;
// RFC 9669 §3: classes in the low three bits; §4, §5: operations and modes.
const CLASS = { load: 0x00, loadFrom: 0x01, storeValue: 0x02, store: 0x03, jump: 0x05, jump32: 0x06, alu64: 0x07 };
const MODE_MEMORY = 0x60;
const SOURCE_REGISTER = 0x08;
const SIZE: Readonly<Record<Width, number>> = { 4: 0x00, 2: 0x08, 1: 0x10, 8: 0x18 };
const JUMP: Readonly<Record<Test, number>> = {
  "==": 0x10,
  ">": 0x20,
  ">=": 0x30,
  "&": 0x40,
  "!=": 0x50,
  "<": 0xa0,
  "<=": 0xb0,
};
const ALU = { add: 0x00, and: 0x50, move: 0xb0 } as const;
const CALL = 0x80;
const EXIT = 0x90;
/** The 64-bit immediate is a map's descriptor (RFC 9669 §5.4). */
const SOURCE_MAP = 1;

const numberOf = (register: Register): number => Number(register.slice(1));
const step = (code: number, to: Register, from: Register | number, offset: number, value: number): Instruction => ({
  code,
  to: numberOf(to),
  from: typeof from === "number" ? from : numberOf(from),
  offset,
  value,
});

/** `to` = the `width` octets at `at` + `offset`, as the machine orders them. */
export const load = (width: Width, to: Register, at: Register, offset: number): Instruction =>
  step(CLASS.loadFrom | MODE_MEMORY | SIZE[width], to, at, offset, 0);
export const store = (width: Width, at: Register, offset: number, from: Register): Instruction =>
  step(CLASS.store | MODE_MEMORY | SIZE[width], at, from, offset, 0);
/** Octets that `value`'s 32 bits, with its sign, do not reach are those of the sign. */
export const storeValue = (width: Width, at: Register, offset: number, value: number): Instruction =>
  step(CLASS.storeValue | MODE_MEMORY | SIZE[width], at, 0, offset, value);

const alu =
  (operation: number) =>
  (to: Register, operand: Register | number): Instruction =>
    typeof operand === "number"
      ? step(CLASS.alu64 | operation, to, 0, 0, operand)
      : step(CLASS.alu64 | operation | SOURCE_REGISTER, to, operand, 0, 0);
export const move = alu(ALU.move);
export const add = alu(ALU.add);
export const and = alu(ALU.and);

/** Compares all 64 bits with another register, or the low 32 with a number. */
export const jumpIf = (left: Register, test: Test, right: Register | number, jumpsTo: string): Instruction =>
  typeof right === "number"
    ? { ...step(CLASS.jump32 | JUMP[test], left, 0, 0, right), jumpsTo }
    : { ...step(CLASS.jump | JUMP[test] | SOURCE_REGISTER, left, right, 0, 0), jumpsTo };
/** For pointers that may be null: the verifier takes no other comparison of them with a number. */
export const jumpIfNull = (left: Register, jumpsTo: string): Instruction => ({
  ...step(CLASS.jump | JUMP["=="], left, 0, 0, 0),
  jumpsTo,
});
export const jump = (jumpsTo: string): Instruction => ({ ...step(CLASS.jump, "r0", 0, 0, 0), jumpsTo });

export const label = (name: string): Label => ({ label: name });
/** Calls a helper of the kernel by its number (linux/bpf.h, `___BPF_FUNC_MAPPER`). */
export const call = (helper: number): Instruction => step(CLASS.jump | CALL, "r0", 0, 0, helper);
export const exit = (): Instruction => step(CLASS.jump | EXIT, "r0", 0, 0, 0);
/** `to` = a map, by the descriptor that this process has of it. Takes the room of two instructions. */
export const loadMap = (to: Register, descriptor: number): readonly Instruction[] => [
  step(CLASS.load | SIZE[8], to, SOURCE_MAP, 0, descriptor),
  step(0, "r0", 0, 0, 0),
];

/**
 * @returns 8 octets an instruction, in the order of a little-endian machine
 * @throws Error for a label that is missing, or there twice
 */
export function assemble(steps: readonly Step[]): Uint8Array {
  const places = new Map<string, number>();
  const instructions: Instruction[] = [];
  for (const each of steps) {
    if (!("label" in each)) {
      instructions.push(each);
      continue;
    }
    if (places.has(each.label)) throw new Error(`The label ${each.label} is there twice`);
    places.set(each.label, instructions.length);
  }
  const octets = new Uint8Array(instructions.length * INSTRUCTION_OCTETS);
  const view = new DataView(octets.buffer);
  for (const [index, { code, to, from, offset, value, jumpsTo }] of instructions.entries()) {
    const at = index * INSTRUCTION_OCTETS;
    let distance = offset;
    if (jumpsTo !== undefined) {
      const place = places.get(jumpsTo);
      if (place === undefined) throw new Error(`No label ${jumpsTo}`);
      distance = place - (index + 1);
    }
    octets[at] = code;
    octets[at + 1] = (from << 4) | to;
    view.setInt16(at + 2, distance, true);
    view.setInt32(at + 4, value | 0, true);
  }
  return octets;
}
