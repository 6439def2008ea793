/**
 * The HTTP part of the balancer's snapshot: what listeners of `http` and `https` do with requests, and how backends are
 * spoken to, with all defaults filled in.
 *
 * Writer:  `config/compile-http.ts`. Readers: `l7/`, `net/`, `api/` views, through `apply(snapshot)`.
 * Units:   ms, octets and percent stand in the names. Plain data: it crosses threads by `postMessage`; regular
 *          expressions are texts, which the compiler of the configuration has tried.
 * @module
 */

/** Of a listener with `protocol: http` or `https`. */
export type HttpSpec = {
  readonly limits: HttpLimits;
  readonly timeouts: HttpTimeouts;
  readonly http2: Http2Spec;
  /** Peers whose `X-Forwarded-*`, `Forwarded` and `X-Request-ID` are believed. */
  readonly trusted: readonly string[];
  readonly forwarded: ForwardedSpec;
  /** In the order in which they are asked: the first that matches has the request. The last may match everything. */
  readonly rules: readonly RuleSpec[];
  /** Host names that this listener serves; another one gets 421. Empty: all. `*.example` matches one or more labels. */
  readonly hosts: readonly string[];
  readonly accessLog: AccessLogSpec | undefined;
  readonly tracing: TracingSpec | undefined;
  /** Requests that this worker may have under way before new ones are shed with 503; 0: no limit. */
  readonly maxRequests: number;
};

export type HttpLimits = {
  /** The request line; longer: 414. */
  readonly lineOctets: number;
  /** Start line and fields; longer: 431. */
  readonly headOctets: number;
  /** Fields of a head or of trailers; more: 431. */
  readonly fields: number;
  /** Requests of one connection that may wait for their turn; reading stops at so many. */
  readonly pipelined: number;
  /** Requests on one connection; then it is closed in order. 0: no limit. */
  readonly requestsPerConnection: number;
};

export type HttpTimeouts = {
  /** From the first octet of a head to its end: 408. */
  readonly headMs: number;
  /** Between octets of a body that we wait for: 408. */
  readonly bodyMs: number;
  /** Between requests. */
  readonly keepAliveMs: number;
  /** A client that takes nothing of a response for so long. */
  readonly sendMs: number;
  /** Octets a second that a body must have, after ten seconds of grace; 0: any. */
  readonly minBodyRate: number;
  /** A tunnel (WebSocket) with nothing either way. */
  readonly tunnelMs: number;
  /** How long what a client still sends is read and dropped, so that it sees our last word. */
  readonly lingerMs: number;
};

export type Http2Spec = {
  /** By ALPN on `https`, by prior knowledge on `http`. */
  readonly isEnabled: boolean;
  readonly maxStreams: number;
  readonly headerListOctets: number;
  /** Streams that one connection may reset, or make us reset, per second; then it is closed. */
  readonly resetsPerSecond: number;
  readonly settingsPerConnection: number;
  readonly outstandingPings: number;
  readonly windowOctets: number;
};

export type ForwardedSpec = {
  /** Addresses at the end of X-Forwarded-For that our own proxies wrote: how many hops are trusted. */
  readonly hops: number;
  readonly xForwardedFor: boolean;
  /** -Proto, -Host, -Port. */
  readonly xForwarded: boolean;
  readonly xRealIp: boolean;
  /** RFC 7239. */
  readonly forwarded: boolean;
  readonly requestId: boolean;
  /** Name in `Via`; undefined: none is sent. */
  readonly via: string | undefined;
};

export type AccessLogSpec = {
  /** A file; `-`: standard output. */
  readonly path: string;
  /** Share of requests with status below 500 that are written. */
  readonly samplePercent: number;
};

export type TracingSpec = {
  /** OTLP over HTTP, such as `http://127.0.0.1:4318/v1/traces`. */
  readonly endpoint: string;
  readonly service: string;
  /** Of traces that begin here; others go on as their caller decided. */
  readonly samplePercent: number;
};

// ── rules ────────────────────────────────────────────────────────────────────────────────────────────────────────

export type RuleSpec = {
  /** As configured, or `rules[2]`; for logs and metrics. */
  readonly name: string;
  readonly match: MatchSpec;
  readonly guards: GuardsSpec;
  readonly action: ActionSpec;
  readonly rewrite: RewriteSpec | undefined;
  readonly requestHeaders: readonly HeaderEdit[];
  readonly responseHeaders: readonly HeaderEdit[];
  readonly mirror: MirrorSpec | undefined;
  readonly timeouts: RouteTimeouts;
  readonly retry: HttpRetrySpec;
  readonly compression: CompressionSpec | undefined;
  readonly cache: CacheSpec | undefined;
  /** A longer body: 413. */
  readonly maxBodyOctets: number;
};

/** All must hold: any of `hosts`, `paths`, `methods` and `sources` (empty: all), each of the others. */
export type MatchSpec = {
  /** `*.example` matches one or more labels; lower case, without port. */
  readonly hosts: readonly string[];
  readonly paths: readonly PathMatch[];
  readonly methods: readonly string[];
  readonly headers: readonly ValueMatch[];
  readonly cookies: readonly ValueMatch[];
  readonly query: readonly ValueMatch[];
  readonly sources: readonly string[];
  /** Of a JWT whose signature, times, issuer and audience were verified. */
  readonly claims: readonly ValueMatch[];
  readonly jwt: JwtSpec | undefined;
  readonly body: BodyMatch | undefined;
};
/** `prefix`: as text (`/api` matches `/apix`); `segment`: `/api` and all below it, not `/apix`. */
export type PathMatch = { readonly kind: "exact" | "prefix" | "segment" | "regex"; readonly value: string };
/** `present` has no value; `isNegated` turns it round. A claim's name may be a path, `realm.roles`. */
export type ValueMatch = {
  readonly name: string;
  readonly kind: "present" | "exact" | "prefix" | "suffix" | "contains" | "regex";
  readonly value: string;
  readonly isNegated: boolean;
};
export type BodyMatch = {
  /** So many octets are waited for; a longer body does not match. */
  readonly maxOctets: number;
  readonly contains: string | undefined;
  /** Path of a field of a JSON body, `user.plan`, and its value as text. */
  readonly json: { readonly path: string; readonly value: string } | undefined;
};
export type JwtSpec = {
  readonly algorithms: readonly ("HS256" | "RS256" | "PS256" | "ES256" | "EdDSA")[];
  /** PEM public keys or a JWKS, or the shared secret of HS256: text that the main thread read. */
  readonly keys: string;
  readonly issuer: string | undefined;
  readonly audience: string | undefined;
  /** Where the token stands: `authorization` (Bearer) or a cookie. */
  readonly from: { readonly header: string } | { readonly cookie: string };
  readonly leewayMs: number;
};

export type ActionSpec =
  | { readonly kind: "pool"; readonly pool: number }
  | {
      readonly kind: "split";
      readonly parts: readonly { readonly pool: number; readonly weight: number }[];
      /** A client stays with its part: by its address, or by a cookie of ours with this name. */
      readonly sticky: "none" | "source" | { readonly cookie: string; readonly ttlMs: number };
    }
  | { readonly kind: "redirect"; readonly status: 301 | 302 | 303 | 307 | 308; readonly to: RedirectSpec }
  | {
      readonly kind: "respond";
      readonly status: number;
      readonly contentType: string;
      readonly body: string;
      readonly headers: readonly (readonly [name: string, value: string])[];
    };
/** What is not given stays as it was asked for. `path` may hold `$1` of the rule's regular expression. */
export type RedirectSpec = {
  readonly scheme: "http" | "https" | undefined;
  readonly host: string | undefined;
  readonly port: number | undefined;
  readonly path: string | undefined;
  readonly keepsQuery: boolean;
};
export type RewriteSpec =
  | { readonly kind: "prefix"; readonly from: string; readonly to: string }
  | { readonly kind: "regex"; readonly from: string; readonly to: string }
  | { readonly kind: "path"; readonly to: string };

/** Values may hold `{client}`, `{host}`, `{path}`, `{request_id}`, `{sni}`, `{claim:NAME}`, `$1`. */
export type HeaderEdit =
  | { readonly kind: "set" | "add"; readonly name: string; readonly value: string }
  | { readonly kind: "remove"; readonly name: string };

export type MirrorSpec = {
  readonly pool: number;
  readonly percent: number;
  /** Requests with longer bodies are not mirrored. */
  readonly maxBodyOctets: number;
};

/** Asked in this order, all before anything is sent to a backend. */
export type GuardsSpec = {
  /** First match wins; no match: allowed. */
  readonly access: readonly { readonly network: string; readonly action: "allow" | "deny" }[];
  readonly waf: WafSpec | undefined;
  readonly rateLimits: readonly RateLimitSpec[];
  readonly basicAuth: BasicAuthSpec | undefined;
  /** A request without a good token gets 401. */
  readonly jwt: JwtSpec | undefined;
  readonly forwardAuth: ForwardAuthSpec | undefined;
};
export type WafSpec = {
  /** Empty: all. */
  readonly methods: readonly string[];
  readonly deniesTraversal: boolean;
  readonly maxTargetOctets: number;
  readonly maxHeadOctets: number;
  /** Regular expressions over the decoded path and query. */
  readonly denyTargets: readonly string[];
  readonly denyHeaders: readonly { readonly name: string; readonly pattern: string }[];
  /** False: what would be denied is counted and logged alone. */
  readonly isEnforced: boolean;
};
export type RateLimitSpec = {
  /** Of its buckets in shared memory: unique among the rules of a listener, stable over reloads. */
  readonly id: string;
  readonly by: "address" | { readonly header: string } | { readonly cookie: string };
  readonly perSecond: number;
  readonly burst: number;
};
export type BasicAuthSpec = {
  readonly realm: string;
  /** `name:$scrypt$ln=14,r=8,p=1$salt$hash`, salt and hash in base64url: what `rhumb config hash-password` prints. */
  readonly users: readonly string[];
};
export type ForwardAuthSpec = {
  readonly pool: number;
  readonly path: string;
  readonly timeoutMs: number;
  /** Fields of its 2xx answer that go to the backend, and of the request that it is shown. */
  readonly copyToBackend: readonly string[];
  readonly copyFromRequest: readonly string[];
};

export type RouteTimeouts = {
  /**
   * The whole of it, tries and waiting for a place included, until the response head; 0: no limit. While the client's body
   * still comes and is taken, its own limits hold instead of this one and the next.
   */
  readonly totalMs: number;
  /** One try, from sending the request's head to the response head; 0: no limit. */
  readonly tryMs: number;
  /** Nothing of a response body for so long. */
  readonly idleMs: number;
};

export const RETRY_CONDITIONS = [
  "connect-failure",
  "reset",
  "empty-response",
  "timeout",
  "5xx",
  "502",
  "503",
  "504",
] as const;
export type RetryCondition = (typeof RETRY_CONDITIONS)[number];
/** Within `PoolSpec.retry`: its attempts and its budget. */
export type HttpRetrySpec = {
  readonly on: readonly RetryCondition[];
  /** Whether POST and PATCH are sent again as well. */
  readonly isNonIdempotentToo: boolean;
  /** Octets of a request body that are kept for another try; a longer body is sent once. */
  readonly bufferOctets: number;
  /** After so long without a response head another try is begun beside the first; 0: never. */
  readonly hedgeMs: number;
};

export type CompressionSpec = {
  /** Best first. */
  readonly algorithms: readonly ("gzip" | "br" | "zstd")[];
  readonly minOctets: number;
  /** Media types, `text/*`. */
  readonly types: readonly string[];
  readonly level: number | undefined;
};

/** RFC 9111, shared. */
export type CacheSpec = {
  /** Over all rules with the same name. */
  readonly store: string;
  readonly maxOctets: number;
  readonly maxObjectOctets: number;
  /** For responses without explicit freshness; 0: heuristics of RFC 9111 §4.2.2 where it allows them. */
  readonly defaultTtlMs: number;
  readonly staleWhileRevalidateMs: number;
  readonly staleIfErrorMs: number;
  /** Adds `Cache-Status` (RFC 9211). */
  readonly addsStatus: boolean;
};

// ── backends ─────────────────────────────────────────────────────────────────────────────────────────────────────

/** How HTTP listeners speak to the backends of a pool. */
export type UpstreamSpec = {
  readonly protocol: "http1" | "http2";
  readonly tls: UpstreamTlsSpec | undefined;
  /** Idle connections that a worker keeps for each backend; 0: none is kept. */
  readonly maxIdle: number;
  /** Shorter than the backend's own, or it closes what we are about to use. */
  readonly idleMs: number;
  /** Requests on one connection; 0: no limit. */
  readonly maxRequests: number;
  /** Streams on one HTTP/2 connection. */
  readonly maxStreams: number;
  /** What `Host` the backend sees: the client's, or this. */
  readonly host: string | undefined;
  /** Whether fields with `_` in their names are passed on: CGI takes `content_length` for `content-length`. */
  readonly keepsUnderscores: boolean;
  /** Trailers of responses go to clients that said they take them, those of requests to the backend. */
  readonly passesTrailers: boolean;
};
export type UpstreamTlsSpec = {
  readonly isVerified: boolean;
  /** PEM of authorities; undefined: those of the system. */
  readonly caFile: string | undefined;
  readonly certFile: string | undefined;
  readonly keyFile: string | undefined;
  /** Undefined: the `Host` of the request. */
  readonly serverName: string | undefined;
};

// ── TLS towards clients ──────────────────────────────────────────────────────────────────────────────────────────

/** Of listeners that end TLS (`tls`, `https`). */
export type TlsSpec = {
  readonly minVersion: "TLSv1.2" | "TLSv1.3";
  /** OpenSSL's names, TLS 1.2 ones. Empty: ECDHE with AES-GCM or ChaCha20. */
  readonly ciphers: readonly string[];
  readonly client:
    | { readonly mode: "optional" | "require"; readonly caFile: string; readonly crlFile: string | undefined }
    | undefined;
  /** Whether OCSP responses are fetched and stapled, where certificates name a responder. */
  readonly staples: boolean;
  /** Session tickets; without them sessions live in this process alone. */
  readonly tickets: { readonly rotateMs: number; readonly secretFile: string | undefined };
  readonly acme: AcmeSpec | undefined;
};
export type AcmeSpec = {
  readonly directory: string;
  readonly email: string | undefined;
  readonly domains: readonly string[];
  readonly challenge: "http-01" | "tls-alpn-01";
  /** Where account key, keys and certificates are kept. */
  readonly folder: string;
  readonly renewBeforeMs: number;
  /** Authorities to trust at the directory; undefined: those of the system. */
  readonly caFile: string | undefined;
};

/** How a pool's sticky cookie looks and is signed. */
export type StickyCookieSpec = {
  readonly name: string;
  /** Keys by id; the first signs, all are believed. */
  readonly keys: readonly { readonly id: string; readonly secret: string }[];
  readonly isSecure: "auto" | boolean;
  readonly sameSite: "Lax" | "Strict" | "None";
  readonly path: string;
  readonly domain: string | undefined;
};
/** Where a pool's hash key comes from, the first that is not empty. */
export type KeySource =
  | "address"
  | "path"
  | "uri"
  | { readonly header: string }
  | { readonly cookie: string }
  | { readonly query: string };
