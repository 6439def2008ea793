/**
 * Limits on what one client, and all of them, may open at a listener: exact over all workers, in shared memory.
 *
 * Owns:    the layout of the shared table (types so far).
 * @module
 */
import type { ListenerLimits } from "#state/balancer.ts";

export type Admission = "admitted" | "listener-full" | "listener-rate" | "client-full" | "client-rate";

export type ClientLimits = {
  /** Takes a place for one more connection (UDP: session) of this client. @param address as the PROXY header or the socket gives it */
  admit(listener: number, limits: ListenerLimits, address: string, nowMs: number): Admission;
  /** Gives back what `admit` took. */
  release(listener: number, limits: ListenerLimits, address: string): void;
};
