/**
 * Anycast: which prefixes a node announces by BGP, through an ExaBGP beside it, and who else does.
 *
 * Writer:  `bgp/`. Readers: the API (`/anycast`), metrics, and through the records (`shared.ts`, kind `anycast`) the other
 *          nodes: a planned withdrawal asks how many advertisers would be left (ruling 19).
 * Units:   ms; the Unix clock in `…AtMs`.
 * @module
 */

/** `anycast:` of a node, with all defaults filled in. */
export type AnycastSpec = {
  readonly exabgp: {
    /** Paths of the named pipes: commands to ExaBGP, its answers. */
    readonly in: string;
    readonly out: string;
    /** Path of the pipe that the guard in the sidecar reads. */
    readonly heartbeatPath: string;
    readonly heartbeatMs: number;
  };
  readonly prefixes: readonly PrefixSpec[];
  /** Through the real socket: what must work before we announce, and while we do. */
  readonly selfCheck: {
    /** `dns`: a query for a name of ours by UDP; `http`, `tcp`: to a listener of the balancer. */
    readonly kind: "dns" | "http" | "tcp";
    readonly address: string;
    readonly port: number;
    /** Path of `http`, name of `dns`. */
    readonly path: string;
    readonly intervalMs: number;
    readonly timeoutMs: number;
    /** It fails for so long: the prefixes are withdrawn at once (ruling 19: 3 s). */
    readonly downMs: number;
    /** It works for so long before they are announced. */
    readonly upMs: number;
  };
  /** Planned withdrawal: first the longer path and GRACEFUL_SHUTDOWN (RFC 8326), then, after `waitMs`, none. */
  readonly drain: { readonly prepend: number; readonly waitMs: number };
  /** After a withdrawal nothing is announced for so long; doubled by each flap, with half-life and cap (RFC 2439). */
  readonly holdDown: { readonly baseMs: number; readonly halfLifeMs: number; readonly capMs: number };
};

export type PrefixSpec = {
  /** In canonical form: `203.0.113.1/32`, `2001:db8::1/128`. */
  readonly prefix: string;
  /** `self`, or an address. */
  readonly nextHop: string;
  readonly med: number | undefined;
  /** Our own AS so many times more. */
  readonly prepend: number;
  /** `65000:1`, or a name that ExaBGP knows. */
  readonly communities: readonly string[];
  readonly largeCommunities: readonly string[];
  /** A planned withdrawal is refused where fewer would be left. */
  readonly minAdvertisers: number;
};

/**
 * `starting`: nothing is known yet. `ready`: serves, does not announce (hold-down, or an operator's word). `advertised`.
 * `draining`: announced with a longer path. `withdrawn`. (D15)
 */
export type PrefixPhase = "starting" | "ready" | "advertised" | "draining" | "withdrawn";

export type PrefixView = {
  readonly prefix: string;
  readonly phase: PrefixPhase;
  readonly sinceMs: number;
  /** One sentence: why it is so. */
  readonly says: string;
  /** What ExaBGP has acknowledged of it last; null: nothing. */
  readonly announced: { readonly route: string; readonly atMs: number } | null;
  /** Held back until then, where hold-down runs. */
  readonly heldUntilMs: number | null;
  readonly flaps: number;
  /** Nodes that announce it now, by their records, this one among them. */
  readonly advertisers: readonly string[];
};

export type BgpPeerView = {
  readonly neighbour: string;
  readonly isEstablished: boolean;
  readonly asn: number | null;
  readonly upSinceMs: number | null;
};

export type AnycastView = {
  readonly isConfigured: boolean;
  /** Does ExaBGP answer? */
  readonly exabgp: {
    readonly isAnswering: boolean;
    readonly says: string;
    readonly answeredAtMs: number | null;
    readonly version: string | null;
  };
  /** Does the guard read our heartbeat? null: nobody knows. */
  readonly guard: { readonly isReading: boolean | null; readonly says: string };
  readonly selfCheck: { readonly isOk: boolean; readonly sinceMs: number; readonly says: string } | null;
  readonly peers: readonly BgpPeerView[];
  readonly prefixes: readonly PrefixView[];
};

/** Record kind `anycast`: what a node announces. Lives 5 s, published each second and at once when it changes. */
export type AnycastShare = {
  readonly region: string | null;
  readonly prefixes: readonly {
    readonly prefix: string;
    readonly phase: PrefixPhase;
    /** Its planned withdrawal is wanted and refused: why. */
    readonly refused?: string;
  }[];
};

/** What an operator, or an evacuation, wants of this node's prefixes; not kept over a restart. */
export type AnycastWish =
  | { readonly kind: "announce" }
  | { readonly kind: "withdraw"; readonly reason: string; readonly owner: string };
