/**
 * What nodes share: records, each with one writer or one order, that every node keeps in full and that travel through Redis,
 * or from node to node by HTTP.
 *
 * Writer:  `cluster/` alone moves records; who publishes one is in the table below. Readers: through `Shared.records()` and
 *          `Shared.onRecord()`, joined to the engines by `app/`.
 * Never:   interpreted by `cluster/`: a body is data to it.
 *
 * A record is (kind, key). The newer of two is the one with the greater version: epoch, then sequence, then the name of the
 * node that made it, so that any two nodes that have seen the same records keep the same ones, in whatever order they came
 * (last writer wins). Records of a kind that is a node's own carry the node in their key, and the node's own epoch (it grows
 * with each start) and sequence. Those that any node may change (`override`, `config`, `evacuation`) take the greatest version they know,
 * plus one. A record is signed by the node that made it, and passed on by others as it is.
 *
 * | kind | key | written by | lives |
 * |---|---|---|---|
 * | `heartbeat` | node | that node, each second | 10 s |
 * | `votes` | node | that node: all of its votes | 3 intervals of its slowest check, at least 15 s |
 * | `report` | region/node | the balancer, each second | 15 s |
 * | `override` | target | the node whose API was asked | to its end; a cleared one as a tombstone, for a day |
 * | `config` | `desired` | the node whose API was asked | for good |
 * | `config` | `fork/VERSION` | who serves that version and keeps it in a conflict | 30 days |
 * | `latency` | node | the node that measured | 1 h |
 * | `anycast` | node | that node, each second | 5 s |
 * | `evacuation` | region | the node that leads it | to its end; then as a tombstone, for a day |
 *
 * Units:   ms since the Unix epoch in `atMs`, ms in `ttlMs`.
 * @module
 */
import type { AnycastShare } from "#state/anycast.ts";
import type { Evacuation } from "#state/evacuation.ts";
import type { RegionReport } from "#state/reports.ts";
import type { Generation, OverrideSpec } from "#state/snapshot.ts";
import type { VantageVotes } from "#state/votes.ts";

export const RECORD_KINDS = [
  "heartbeat",
  "votes",
  "report",
  "override",
  "config",
  "latency",
  "anycast",
  "evacuation",
] as const;
export type RecordKind = (typeof RECORD_KINDS)[number];

export type RecordVersion = { readonly epoch: number; readonly sequence: number; readonly node: string };

/** A node is alive, and what it serves. */
export type Heartbeat = {
  readonly version: string;
  readonly startedAtMs: number;
  /** The node's Unix clock when it wrote this: how far clocks lie apart (ruling 2). */
  readonly clockMs: number;
  readonly roles: readonly ("dns" | "balancer")[];
  /** What it serves; null before its first configuration. */
  readonly serves: Generation | null;
  /** Version of the desired configuration that it has applied, refused, or not seen. */
  readonly desired: { readonly version: RecordVersion; readonly isApplied: boolean; readonly says: string } | null;
  /** Region whose balancer runs here. */
  readonly region: string | null;
  /** Where its control API is reached by others; null: by nobody. */
  readonly url: string | null;
  /** By node: how far it sees that node's clock ahead of its own, in ms, at least: less what the way took. */
  readonly clocks?: Readonly<Record<string, number>>;
  /** Evacuations that it does its part of; absent: none. */
  readonly evacuations?: readonly EvacuationAck[];
};

/** In a node's heartbeat: it does its duty by this version of the region's record. */
export type EvacuationAck = {
  readonly region: string;
  readonly version: RecordVersion;
};

/** What all nodes are to serve: texts of files by their name (`config/pushed.ts`), and the API's overlay of what all share. */
export type DesiredConfig = {
  /**
   * The versions that it builds on, newest first, at most `MAX_ANCESTORS`; empty: nothing was pushed before. Where what a
   * node has is not among them, and it is not among the ancestors of that, both sides of a split were changed: a conflict
   * (ruling 16).
   */
  readonly ancestors: readonly RecordVersion[];
  readonly files: Readonly<Record<string, string>>;
  readonly overlay: Readonly<Record<string, unknown>>;
  readonly actor: string;
  readonly reason: string;
  /** Why answers may vanish by it all the same; null: they may not. */
  readonly breakGlass: string | null;
};
export const MAX_ANCESTORS = 256;

/** `spec: null` is the tombstone of one that was cleared. */
export type OverrideShare = { readonly spec: OverrideSpec | null };

/** Who says how long a round trip takes: handshakes of a balancer's own clients, or pages in browsers. */
export type LatencySource = "connections" | "beacons";

/** Round trips from networks of clients to regions that this node has learnt: from beacons of pages, or connections of balancers. */
export type LatencyShare = {
  readonly rows: readonly {
    /** `198.51.100.0/24`, `2001:db8:1::/48`, `AS64500`, or `AS64500-DE`: its networks in one country. */
    readonly network: string;
    readonly region: string;
    readonly by: LatencySource;
    readonly rttMicros: number;
    /** Those of long ago count for less. */
    readonly samples: number;
    /** How long before `atMs` of the record the newest of them was taken. */
    readonly ageMs: number;
  }[];
};

export type RecordBodies = {
  heartbeat: Heartbeat;
  votes: VantageVotes;
  report: RegionReport;
  override: OverrideShare;
  config: DesiredConfig;
  latency: LatencyShare;
  anycast: AnycastShare;
  evacuation: Evacuation;
};

export type SharedRecord<Kind extends RecordKind = RecordKind> = {
  readonly kind: Kind;
  readonly key: string;
  readonly version: RecordVersion;
  readonly atMs: number;
  readonly ttlMs: number;
  readonly body: RecordBodies[Kind];
};

/** What passes by and is not kept: some votes that have just changed, so that all vantages look at once. */
export type SignalBodies = { votes: VantageVotes };
export type SignalKind = keyof SignalBodies;

export const compareVersions = (a: RecordVersion, b: RecordVersion): number =>
  a.epoch - b.epoch || a.sequence - b.sequence || (a.node < b.node ? -1 : a.node > b.node ? 1 : 0);

/** How a node stands with the others. */
export type PeerState = {
  readonly node: string;
  /** Its last heartbeat, or null where none came since this node runs. */
  readonly heartbeat: Heartbeat | null;
  /** By this node's steady clock: ms since a heartbeat with a new sequence came. */
  readonly silentMs: number | null;
  readonly isAlive: boolean;
  /** Its clock minus ours, in ms, give or take half of the round trip; null where not known. */
  readonly clockOffsetMs: number | null;
  /** The part of it that no delay on the way explains. */
  readonly clockAstrayMs: number;
};

export type SharedStatus = {
  /** `redis`: through Redis. `peers`: from node to node. `alone`: there is nobody else. */
  readonly by: "redis" | "peers" | "alone";
  /** False: what others publish does not reach this node now; it goes on with what it knows. */
  readonly isConnected: boolean;
  readonly says: string;
  readonly records: Readonly<Record<RecordKind, number>>;
  readonly refused: {
    readonly unsigned: number;
    readonly unknownNode: number;
    readonly old: number;
    readonly damaged: number;
    /** Too large, or too many of its kind. */
    readonly full: number;
  };
  readonly octets: { readonly sent: number; readonly received: number };
};

/** The door. The embedded store behind it serves a node that is alone: then it only ever sees its own records. */
export type Shared = {
  /**
   * Publishes a record of this node: kept, sent soon, and told to this node's listeners like any other, at once.
   * For `override`, `config` and `evacuation` the version follows all that is known; in a new epoch also what nodes that are
   * apart make before they have heard of it. Never throws, never waits.
   */
  publish<Kind extends RecordKind>(
    kind: Kind,
    key: string,
    body: RecordBodies[Kind],
    ttlMs: number,
    how?: { readonly isNewEpoch?: boolean },
  ): SharedRecord<Kind>;
  signal<Kind extends SignalKind>(kind: Kind, body: SignalBodies[Kind]): void;
  /** All that live, in the order of their keys. */
  records<Kind extends RecordKind>(kind: Kind): readonly SharedRecord<Kind>[];
  /**
   * Called for each record that is newer than what was kept, and with `undefined` when the one at `key` has ended.
   * `ageMs`: since it was written, by the clocks of those who held it, each for as long as it did.
   */
  onRecord<Kind extends RecordKind>(
    kind: Kind,
    listener: (key: string, record: SharedRecord<Kind> | undefined, isOwn: boolean, ageMs: number) => void,
  ): void;
  /** Signals of other nodes. */
  onSignal<Kind extends SignalKind>(kind: Kind, listener: (node: string, body: SignalBodies[Kind]) => void): void;
  peers(): readonly PeerState[];
  status(): SharedStatus;
};
