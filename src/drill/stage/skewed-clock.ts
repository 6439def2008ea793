/**
 * A clock of its own for one process: libfaketime stands between it and the system's, and reads how far it is off from a file
 * each time. Intervals (CLOCK_MONOTONIC) stay true, as they do on a host whose clock is set wrong.
 * @module
 */
import { existsSync, globSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Debian's folder of the machine's kind, and what a build from source installs. */
const LIBRARIES = ["/usr/lib/*/faketime/libfaketimeMT.so.1", "/usr/local/lib/faketime/libfaketimeMT.so.1"];

/** @returns the path of the library; undefined: it is not installed */
export const findFaketime = (): string | undefined =>
  LIBRARIES.flatMap((pattern) => globSync(pattern)).find(existsSync);

const fileOf = (folder: string): string => join(folder, "clock-offset");

/** @param folder of the process; @param offsetMs what is added to the system's clock, from now on */
export const setClock = (folder: string, offsetMs: number): void =>
  writeFileSync(fileOf(folder), `${offsetMs < 0 ? "-" : "+"}${Math.abs(offsetMs) / 1_000}s\n`);

/** What a process is started with so that `setClock` moves its clock; the clock is right until then. */
export function clockEnvironment(folder: string): Readonly<Record<string, string>> {
  if (!existsSync(fileOf(folder))) setClock(folder, 0);
  return {
    LD_PRELOAD: findFaketime()!,
    FAKETIME_TIMESTAMP_FILE: fileOf(folder),
    FAKETIME_NO_CACHE: "1",
    FAKETIME_DONT_FAKE_MONOTONIC: "1",
  };
}
