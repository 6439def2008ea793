/**
 * What the configuration says of the other nodes, and of how records reach them.
 *
 * Writer:  `config/compile.ts`. Readers: `cluster/`, and the workers of a balancer for their sticky clients.
 * @module
 */
import type { PeerSpec } from "#state/snapshot.ts";

/** A node's public key in texts: this and the 32 octets in base64. */
export const KEY_PREFIX = "ed25519:";
export const NODE_KEY_PATTERN = /^ed25519:[A-Za-z0-9+/]{43}=$/;

/** Where Redis is. Passwords are resolved; no view shows them. */
export type RedisSpec = {
  /** `single`: one server. `sentinel`: `hosts` are Sentinels. `cluster`: `hosts` are some nodes of a Redis Cluster. */
  readonly mode: "single" | "sentinel" | "cluster";
  readonly hosts: readonly { readonly host: string; readonly port: number }[];
  /** Name that the Sentinels know the servers by. */
  readonly name: string | undefined;
  readonly user: string | undefined;
  readonly password: string | undefined;
  readonly sentinelUser: string | undefined;
  readonly sentinelPassword: string | undefined;
  readonly database: number;
  readonly tls: RedisTls | undefined;
};
export type RedisTls = {
  /** Absolute paths. No authority: the system's. */
  readonly caFile: string | undefined;
  readonly certFile: string | undefined;
  readonly keyFile: string | undefined;
  /** Name that the certificate must bear; undefined: the host's. */
  readonly serverName: string | undefined;
};

export type ClusterSnapshot = {
  readonly redis: RedisSpec | undefined;
  /** All nodes, this one among them; none: it is alone. */
  readonly nodes: readonly EnrolledNode[];
  /** Where others take records by HTTP: `control.peers` of the names of `nodes`. */
  readonly peers: readonly PeerSpec[];
  /** Clocks that lie further apart than this raise an alarm: a tenth of the shortest slot of any service (ruling 2). */
  readonly maxSkewMs: number;
};

export type EnrolledNode = {
  readonly name: string;
  /** Its public Ed25519 key as `rhumb cluster key` prints it. */
  readonly key: string;
};
