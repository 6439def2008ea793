import { type Libc, loadLibc } from "#dns/transport/libc.ts";

/** The C library, or undefined on systems that have no native sockets. */
export function loadedLibc(): Libc | undefined {
  const loaded = loadLibc();
  return typeof loaded === "string" ? undefined : loaded;
}
