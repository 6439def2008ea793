/**
 * The calls of the C library that `node:dgram` has no names for, through koffi.
 *
 * Owns:    which systems this works on, and the signatures. koffi is optional: where it, or Linux, is missing, callers
 *          are told why and do without.
 * Never:   interprets what a call returns.
 * @module
 */
import { createRequire } from "node:module";
import { endianness } from "node:os";
import { getSystemErrorName } from "node:util";

/** An address in this process's memory, as `addressOf` says it. */
export type Pointer = bigint;

export type Libc = {
  socket(domain: number, type: number, protocol: number): number;
  bind(descriptor: number, address: Pointer, length: number): number;
  getsockname(descriptor: number, address: Pointer, length: Pointer): number;
  close(descriptor: number): number;
  setsockopt(descriptor: number, level: number, option: number, value: Pointer, length: number): number;
  getsockopt(descriptor: number, level: number, option: number, value: Pointer, length: Pointer): number;
  recvmmsg(descriptor: number, messages: Pointer, count: number, flags: number, timeout: Pointer): number;
  sendmmsg(descriptor: number, messages: Pointer, count: number, flags: number): number;
  /** Of the last call that returned -1, in this thread. */
  errno(): number;
  /**
   * Where the octets of `view` lie. The garbage collector does not see that an address is in use: whoever passes one on
   * keeps `view` referenced for as long.
   */
  addressOf(view: ArrayBufferView): Pointer;
};

/** The part of koffi that is used here. */
type Koffi = {
  load(path: null): { func(prototype: string): (...args: never[]) => number };
  errno(): number;
  address(view: ArrayBufferView): bigint;
};

/** Those whose layouts and constants we know (`native-layout.ts`, asm-generic/socket.h). */
const PROCESSORS: readonly string[] = ["x64", "arm64", "riscv64"];

const PROTOTYPES = {
  socket: "int socket(int, int, int)",
  bind: "int bind(int, uintptr_t, uint32_t)",
  getsockname: "int getsockname(int, uintptr_t, uintptr_t)",
  close: "int close(int)",
  setsockopt: "int setsockopt(int, int, int, uintptr_t, uint32_t)",
  getsockopt: "int getsockopt(int, int, int, uintptr_t, uintptr_t)",
  recvmmsg: "int recvmmsg(int, uintptr_t, uint32_t, int, uintptr_t)",
  sendmmsg: "int sendmmsg(int, uintptr_t, uint32_t, int)",
} as const;

/** @returns the library, or why there is none */
export function loadLibc(): Libc | string {
  if (process.platform !== "linux") return `this is ${process.platform}, and recvmmsg is Linux's`;
  if (!PROCESSORS.includes(process.arch) || endianness() !== "LE") {
    return `its memory layouts are not known for ${process.arch}`;
  }
  try {
    const koffi = createRequire(import.meta.url)("koffi") as Koffi;
    const library = koffi.load(null);
    const functions = Object.fromEntries(
      Object.entries(PROTOTYPES).map(([name, prototype]) => [name, library.func(prototype)]),
    ) as unknown as Omit<Libc, "errno" | "addressOf">;
    return { ...functions, errno: () => koffi.errno(), addressOf: (view) => koffi.address(view) };
  } catch (error) {
    const [says] = (error instanceof Error ? error.message : String(error)).split("\n");
    return `koffi cannot be loaded: ${says}`;
  }
}

/** An error in the form of Node's own: `code` is the system's name, such as EADDRINUSE. */
export function systemError(call: string, errno: number): NodeJS.ErrnoException {
  const code = getSystemErrorName(-errno);
  return Object.assign(new Error(`${call} ${code}`), { code, errno: -errno, syscall: call });
}
