/**
 * Looks at the round trips of some clients' connections: what the kernel learnt in the handshake, once per connection and of
 * few of them.
 *
 * Owns:    what was found since it was taken away, bounded.
 * Never:   looks at clients behind a proxy (the kernel knows the proxy's way alone), or on this machine and its link.
 * Units:   µs.
 * @module
 */
import type { TcpConn } from "#net/driver.ts";
import type { ReadRtt } from "#net/tcp-info.ts";

/** In one tick: with 50 ms of it, 80 a second and worker. A call takes about 1 µs. */
export const LOOKS_PER_TICK = 4;
/** Until they are taken away; more is forgotten. */
export const MAX_SAMPLES = 256;

const NEAR = /^(?:127\.|169\.254\.|::1$|fe80:|::ffff:127\.)/i;

/** Of clients, one after the other. */
export type ConnectionSamples = { readonly addresses: readonly string[]; readonly rttMicros: readonly number[] };

export type ConnectionSampler = {
  /** A client has arrived, by itself. */
  arrived(conn: TcpConn): void;
  /** Time has passed: there may be other looks. */
  tick(): void;
  /** What was found; undefined: nothing. */
  take(): ConnectionSamples | undefined;
};

export function createConnectionSampler(read: ReadRtt): ConnectionSampler {
  let looks = LOOKS_PER_TICK;
  let addresses: string[] = [];
  let rttMicros: number[] = [];
  return {
    arrived({ descriptor, remote: { address } }) {
      if (looks === 0 || descriptor === undefined || addresses.length === MAX_SAMPLES) return;
      looks--;
      if (NEAR.test(address)) return;
      const micros = read(descriptor);
      if (micros === 0) return;
      addresses.push(address);
      rttMicros.push(micros);
    },
    tick() {
      looks = LOOKS_PER_TICK;
    },
    take() {
      if (addresses.length === 0) return undefined;
      const taken = { addresses, rttMicros };
      addresses = [];
      rttMicros = [];
      return taken;
    },
  };
}
