import { type Libc, loadLibc } from "#dns/transport/libc.ts";

const loaded = loadLibc();

/** The C library, or undefined on systems that have no native sockets. */
export const loadedLibc = (): Libc | undefined => (typeof loaded === "string" ? undefined : loaded);

/** For `skip` of tests that need it: why it is not there. In CI it is a fault that it is not. */
export const withoutLibc: string | false =
  typeof loaded === "string" && (process.env["CI"] === undefined || process.platform !== "linux") && loaded;
