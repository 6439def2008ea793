/**
 * bpf(2): maps, programs, links.
 *
 * Owns:    the layout of `union bpf_attr` (linux/bpf.h) for the commands that are used here. All that is made is named by a
 *          descriptor, and is gone when the last one is closed: with the process, however it ends.
 * Never:   decides what the program says.
 * @module
 */
import { constants } from "node:os";
import { RhumbError } from "#base/errors.ts";
import { systemError } from "#base/native/load.ts";
import { bpfCall, type XdpCalls } from "#dns/transport/xdp/calls.ts";

const COMMAND = {
  createMap: 0,
  updateElement: 2,
  deleteElement: 3,
  loadProgram: 5,
  describe: 15,
  createLink: 28,
} as const;
export const MAP_KIND = { hash: 1, socketsByQueue: 17 } as const;
const PROGRAM_XDP = 6;
const ATTACH_XDP = 37;
/** linux/if_link.h, XDP_FLAGS_SKB_MODE and XDP_FLAGS_DRV_MODE */
const LINK_FLAGS = { generic: 2, native: 4 } as const;
const NAME_OCTETS = 15; // and a zero
/** The name under which `bpftool` and `ip link` show what is ours. */
const NAME = "rhumb_dns";
/** What the verifier says of a program that it refuses: its end is what matters, and fits. */
const LOG_OCTETS = 1 << 20;
const LOG_LINES = 12;

type Field = readonly [at: number, value: number | Uint8Array];

export type Bpf = {
  /** @returns its descriptor */
  createMap(kind: number, keyOctets: number, valueOctets: number, entries: number): number;
  update(map: number, key: Uint8Array, value: Uint8Array): void;
  /** A key that is not there is no fault. */
  remove(map: number, key: Uint8Array): void;
  /** @throws RhumbError RHUMB_DNS_XDP with the verifier's last words */
  loadProgram(instructions: Uint8Array): number;
  programId(program: number): number;
  /** @returns its descriptor: the program runs until it is closed; negative: `errno` says why not */
  attach(program: number, interfaceIndex: number, mode: keyof typeof LINK_FLAGS): number;
};

export function createBpf(calls: XdpCalls): Bpf {
  /** Octets are passed by their address; they live until the call has returned, because `fields` holds them. */
  function run(command: number, octets: number, fields: readonly Field[]): number {
    const attributes = new Uint8Array(octets);
    const view = new DataView(attributes.buffer);
    for (const [at, value] of fields) {
      if (typeof value === "number") view.setUint32(at, value, true);
      else view.setBigUint64(at, calls.addressOf(value), true);
    }
    return bpfCall(calls, command, attributes);
  }

  function must(what: string, result: number): number {
    if (result < 0) throw systemError(what, calls.errno());
    return result;
  }

  /** struct bpf_attr takes names as octets within. */
  const nameAt = (at: number): readonly Field[] => {
    const octets = new Uint8Array(NAME_OCTETS + 1);
    octets.set(new TextEncoder().encode(NAME));
    const words = new DataView(octets.buffer);
    return [0, 4, 8, 12].map((offset) => [at + offset, words.getUint32(offset, true)]);
  };

  const programFields = (instructions: Uint8Array, license: Uint8Array): readonly Field[] => [
    [0, PROGRAM_XDP],
    [4, instructions.length / 8],
    [8, instructions],
    [16, license],
    ...nameAt(48),
    [68, ATTACH_XDP],
  ];

  return {
    createMap: (kind, keyOctets, valueOctets, entries) =>
      must(
        "bpf BPF_MAP_CREATE",
        run(COMMAND.createMap, 72, [[0, kind], [4, keyOctets], [8, valueOctets], [12, entries], ...nameAt(28)]),
      ),
    update(map, key, value) {
      const fields: readonly Field[] = [
        [0, map],
        [8, key],
        [16, value],
      ];
      must("bpf BPF_MAP_UPDATE_ELEM", run(COMMAND.updateElement, 32, fields));
    },
    remove(map, key) {
      const result = run(COMMAND.deleteElement, 32, [
        [0, map],
        [8, key],
      ]);
      if (result < 0 && calls.errno() !== constants.errno.ENOENT) must("bpf BPF_MAP_DELETE_ELEM", result);
    },
    loadProgram(instructions) {
      const fields = programFields(instructions, new TextEncoder().encode("MIT\0"));
      const program = run(COMMAND.loadProgram, 128, fields);
      if (program >= 0) return program;
      const cause = systemError("bpf BPF_PROG_LOAD", calls.errno());
      const log = new Uint8Array(LOG_OCTETS);
      const again = run(COMMAND.loadProgram, 128, [...fields, [24, 1], [28, log.length], [32, log]]);
      if (again >= 0) return again;
      const says = new TextDecoder("latin1").decode(log.subarray(0, log.indexOf(0))).trim();
      const last = says === "" ? "" : `\n${says.split("\n").slice(-LOG_LINES).join("\n")}`;
      throw new RhumbError("RHUMB_DNS_XDP", `the kernel refuses the program: ${cause.message}${last}`, { cause });
    },
    programId(program) {
      const info = new Uint8Array(256);
      must(
        "bpf BPF_OBJ_GET_INFO_BY_FD",
        run(COMMAND.describe, 16, [
          [0, program],
          [4, info.length],
          [8, info],
        ]),
      );
      return new DataView(info.buffer).getUint32(4, true);
    },
    attach: (program, interfaceIndex, mode) =>
      run(COMMAND.createLink, 64, [
        [0, program],
        [4, interfaceIndex],
        [8, ATTACH_XDP],
        [12, LINK_FLAGS[mode]],
      ]),
  };
}
