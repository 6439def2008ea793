/**
 * Calls of the C library that Node has no names for, through koffi.
 *
 * Owns:    which systems this works on. koffi is optional: where it, or Linux, is missing, callers are told why and do
 *          without.
 * Never:   interprets what a call returns.
 * @module
 */
import { createRequire } from "node:module";
import { endianness } from "node:os";
import { getSystemErrorName } from "node:util";

/** What every set of calls has besides. */
export type Native = {
  /** Of the last call that returned -1, in this thread. */
  errno(): number;
  /**
   * Where the octets of `view` lie. The garbage collector does not see that an address is in use: whoever passes one on
   * keeps `view` referenced for as long.
   */
  addressOf(view: ArrayBufferView): bigint;
  /**
   * The other way: octets of memory that is not JavaScript's. Whoever unmaps it uses no view of it afterwards: touching
   * one ends the process.
   */
  memoryAt(address: number | bigint, octets: number): ArrayBuffer;
  /**
   * A function of ours that libraries may call, in this thread, while one of the calls runs. There are 8,192 in a process.
   * @param types as C names them: of the result, then of each parameter
   * @param otherwise what the caller sees where `run` throws
   */
  callback(types: readonly [string, ...string[]], otherwise: number, run: (...values: number[]) => number): Callback;
};
export type Callback = { readonly address: number; free(): void };

/** The part of koffi that is used here. */
type Koffi = {
  load(path: null): { func(prototype: string): (...args: never[]) => number };
  errno(): number;
  address(view: ArrayBufferView): bigint;
  view(address: bigint, octets: number): ArrayBuffer;
  proto(result: string, parameters: readonly string[]): object;
  pointer(type: object): object;
  register(run: (...values: number[]) => number, type: object): bigint;
  unregister(callback: bigint): void;
};

/** Those whose layouts and constants we know (`layout.ts`, asm-generic/socket.h). */
const PROCESSORS: readonly string[] = ["x64", "arm64", "riscv64"];

/**
 * @param prototypes name → as C declares it
 * @param needed the call that makes this Linux's alone, for the sentence
 * @returns the calls, typed by the caller, or why there are none
 */
export function loadNative<Calls extends Native>(
  prototypes: Readonly<Record<Exclude<keyof Calls, keyof Native>, string>>,
  needed: string,
): Calls | string {
  if (process.platform !== "linux") return `this is ${process.platform}, and ${needed} is Linux's`;
  if (!PROCESSORS.includes(process.arch) || endianness() !== "LE") {
    return `its memory layouts are not known for ${process.arch}`;
  }
  try {
    const koffi = createRequire(import.meta.url)("koffi") as Koffi;
    const library = koffi.load(null);
    const calls = Object.fromEntries(
      Object.entries<string>(prototypes).map(([name, prototype]) => [name, library.func(prototype)]),
    );
    const native: Native = {
      errno: () => koffi.errno(),
      addressOf: (view) => koffi.address(view),
      memoryAt: (address, octets) => koffi.view(BigInt(address), octets),
      callback([result, ...parameters], otherwise, run) {
        const guarded = (...values: number[]): number => {
          try {
            return run(...values);
          } catch {
            return otherwise;
          }
        };
        const registered = koffi.register(guarded, koffi.pointer(koffi.proto(result, parameters)));
        return { address: Number(registered), free: () => koffi.unregister(registered) };
      },
    };
    return { ...calls, ...native } as Calls;
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
