/**
 * Opens the store, or serves without one: a full or damaged disk must not keep DNS from starting.
 * @module
 */
import type { Clock } from "#base/clock.ts";
import { RhumbError } from "#base/errors.ts";
import { openStore, type Store } from "#cluster/store.ts";

/**
 * @returns the store in `folder`; where that cannot be used, one in memory, and in `fault` why. What the API changed
 *   (overrides, overlay, latency) is then missing until the store is mended and the process restarted.
 * @throws RhumbError RHUMB_CLUSTER_STORE_NEWER: nothing is broken, the older program is at fault
 */
export function openStoreOrMemory(folder: string, clock: Clock): { store: Store; fault: RhumbError | undefined } {
  try {
    return { store: openStore({ folder, clock }), fault: undefined };
  } catch (error) {
    if (!(error instanceof RhumbError) || error.code !== "RHUMB_CLUSTER_STORE_UNUSABLE") throw error;
    return { store: openStore({ folder: ":memory:", clock }), fault: error };
  }
}
