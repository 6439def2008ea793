/**
 * What the DNS engine and its worker threads say to each other.
 *
 * Owns:    the messages and the shared words. One revision number runs through everything that changes what is served;
 *          a worker that serves a revision writes it into its word of shared memory and wakes who waits there.
 * @module
 */
import type { ServeFailed } from "#app/supervised-worker.ts";
import type { UdpEngineName } from "#app/udp-engine.ts";
import type { ClientMap, RttMap } from "#state/client-map.ts";
import type { Observations } from "#state/observations.ts";
import type { DnsSnapshot, Generation, ListenAddress, RegionSpec, ServiceSpec } from "#state/snapshot.ts";
import type { XdpInterface } from "#state/xdp.ts";

/** The part of a snapshot that DNS workers need; a `Snapshot` with the dns role is one. */
export type DnsBundle = {
  readonly generation: Generation;
  readonly dns: DnsSnapshot;
  readonly regions: readonly RegionSpec[];
  readonly services: readonly ServiceSpec[];
};

/** Everything a worker serves from. */
export type DnsWorld = {
  readonly revision: number;
  readonly bundle: DnsBundle;
  readonly maps: readonly ClientMap[];
  readonly rtt: RttMap | undefined;
};

/** One receive queue of the interface that `engine: xdp` reads. */
export type XdpQueue = {
  readonly interface: XdpInterface;
  readonly number: number;
  /** Its block of `XDP_COUNTERS`, in shared memory. */
  readonly counters: Float64Array;
};

/** Handed to a worker when its thread starts. */
export type DnsWorkerData = {
  readonly kind: "udp" | "tcp";
  /** What a UDP worker receives with. */
  readonly engine: UdpEngineName;
  /** Of a UDP worker with the engine `xdp`. What it is asked to open is this, whatever the address says. */
  readonly queue: XdpQueue | undefined;
  /** Taken out by the worker once it serves it: nothing else lets go of what a thread was started with. */
  world?: DnsWorld;
  readonly counters: Float64Array;
  readonly observations: Observations;
  readonly healthTable: Uint32Array;
  /** The door of the spread plan, in shared memory. */
  readonly spread: Int32Array | undefined;
  /** One word in shared memory: the revision that the worker serves. */
  readonly ack: Int32Array;
  /** Seed of the hash tables that strangers fill. */
  readonly seed: number;
};

export type ToDnsWorker =
  /** `letsGoMuch`: the world before held much memory that this one does not. */
  | { readonly type: "serve"; readonly world: DnsWorld; readonly letsGoMuch: boolean }
  | { readonly type: "open"; readonly key: string; readonly listen: ListenAddress }
  /** Closes one listener, or all of them and then the thread. */
  | { readonly type: "close"; readonly key: string | undefined; readonly drainMs: number };

export type FromDnsWorker =
  | { readonly type: "opened"; readonly key: string; readonly port: number }
  | { readonly type: "open-failed"; readonly key: string; readonly code: string; readonly says: string }
  | { readonly type: "closed"; readonly key: string }
  | ServeFailed;
