/**
 * The name of the system user that runs this process.
 * @module
 */
import { userInfo } from "node:os";

/** In a container the user may be a bare number without an entry in passwd, which `userInfo` throws for. */
export function userName(read: () => { readonly username: string } = userInfo): string {
  try {
    return read().username;
  } catch {
    return `uid-${process.getuid?.() ?? "unknown"}`;
  }
}
