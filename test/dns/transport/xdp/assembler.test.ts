import assert from "node:assert/strict";
import test from "node:test";
import {
  add,
  and,
  assemble,
  call,
  exit,
  jump,
  jumpIf,
  jumpIfNull,
  label,
  load,
  loadMap,
  move,
  type Step,
  store,
  storeValue,
} from "#dns/transport/xdp/assembler.ts";

const hex = (steps: readonly Step[]): string => Buffer.from(assemble(steps)).toString("hex");

// Octets by hand from RFC 9669: opcode, registers (source in the upper half), offset, immediate.
for (const { name, steps, expected } of [
  { name: "a move of a number", steps: [move("r0", 2)], expected: "b700000002000000" },
  { name: "a move of a register", steps: [move("r6", "r1")], expected: "bf16000000000000" },
  { name: "sums", steps: [add("r4", 14), add("r4", "r2")], expected: "070400000e0000000f24000000000000" },
  { name: "a negative number", steps: [add("r2", -24)], expected: "07020000e8ffffff" },
  { name: "a mask", steps: [and("r5", 0xf0)], expected: "57050000f0000000" },
  { name: "a load of 1 octet", steps: [load(1, "r5", "r4", 9)], expected: "7145090000000000" },
  { name: "a load of 2 octets before", steps: [load(2, "r5", "r4", -2)], expected: "6945feff00000000" },
  { name: "a load of 4 octets", steps: [load(4, "r2", "r1", 16)], expected: "6112100000000000" },
  { name: "a load of 8 octets", steps: [load(8, "r5", "r4", 8)], expected: "7945080000000000" },
  { name: "a store of a register", steps: [store(4, "r10", -24, "r5")], expected: "635ae8ff00000000" },
  { name: "a store of a number", steps: [storeValue(8, "r10", -16, 0)], expected: "7a0af0ff00000000" },
  { name: "a call", steps: [call(51)], expected: "8500000033000000" },
  { name: "an exit", steps: [exit()], expected: "9500000000000000" },
  { name: "a map", steps: loadMap("r1", 7), expected: "18110000070000000000000000000000" },
  { name: "a pointer that is null", steps: [label("here"), jumpIfNull("r0", "here")], expected: "1500ffff00000000" },
  {
    name: "a number over 31 bits",
    steps: [label("here"), jumpIf("r5", "!=", 0xffff_fffe, "here")],
    expected: "5605fffffeffffff",
  },
]) {
  test(`assemble() encodes ${name}`, () => assert.equal(hex(steps), expected));
}

test("assemble() measures jumps from the instruction behind them, forth and back, over maps too", () => {
  const steps = [label("back"), jumpIf("r5", ">", "r3", "on"), ...loadMap("r1", 1), jump("back"), label("on"), exit()];
  const octets = Buffer.from(assemble(steps));
  assert.equal(octets.subarray(0, 8).toString("hex"), "2d35030000000000");
  assert.equal(octets.subarray(24, 32).toString("hex"), "0500fcff00000000");
});

test("assemble() names a label that is missing, or there twice", () => {
  assert.throws(() => assemble([jump("nowhere")]), /nowhere/);
  assert.throws(() => assemble([label("here"), label("here")]), /here is there twice/);
});
