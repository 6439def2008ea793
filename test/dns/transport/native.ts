import { type Libc, loadLibc } from "#dns/transport/libc.ts";
import { withoutNative } from "../../base/native/native.ts";

const loaded = loadLibc();

/** The C library, or undefined on systems that have no native sockets. */
export const loadedLibc = (): Libc | undefined => (typeof loaded === "string" ? undefined : loaded);

export const withoutLibc = withoutNative;
