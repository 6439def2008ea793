/**
 * Whether a file is still the one that was read, without reading it.
 * @module
 */
import { statSync } from "node:fs";

/**
 * Device, inode, size and times of a file as one text, or undefined when there is no such file.
 * @throws what the system says when it may not be looked at
 */
export function fileIdentity(file: string): string | undefined {
  const status = statSync(file, { bigint: true, throwIfNoEntry: false });
  if (!status?.isFile()) return undefined;
  return [status.dev, status.ino, status.size, status.mtimeNs, status.ctimeNs].join(":");
}

/** The same, and undefined also for a file that may not be looked at: whoever reads it will say so. */
export function fileIdentityOrNothing(file: string): string | undefined {
  try {
    return fileIdentity(file);
  } catch {
    return undefined;
  }
}
