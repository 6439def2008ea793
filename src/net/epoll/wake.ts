/**
 * Ends a wait of an epoll driver in another thread.
 * @module
 */
import { writeSync } from "node:fs";

/** What an eventfd wants: a number of 8 octets, to be added (eventfd(2)). */
const ONE = new Uint8Array(new BigUint64Array([1n]).buffer);

/** @param descriptor `wakeDescriptor` of the driver; it must still be open */
export function wake(descriptor: number): void {
  writeSync(descriptor, ONE);
}
