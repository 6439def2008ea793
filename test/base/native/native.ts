import { loadNative, type Native } from "#base/native/load.ts";

const loaded = loadNative<Native>({}, "what is tested");

/** For `skip` of tests that call the C library: why it is not there. In CI it is a fault that it is not. */
export const withoutNative: string | false =
  typeof loaded === "string" && (process.env["CI"] === undefined || process.platform !== "linux") && loaded;
