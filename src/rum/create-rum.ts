/**
 * Beacons of pages: a small HTTP listener of its own, and what is made of them.
 *
 * Owns:    the listener and its limits. `POST /rum` takes a beacon, `OPTIONS /rum` answers preflights, `GET /rum/ping` is
 *          something small for pages to measure.
 * Never:   keeps an address: what stays is networks (/24, /48) and times, in memory.
 * Units:   octets, ms.
 * @module
 */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createTlsServer, type Server as TlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { Clock } from "#base/clock.ts";
import { RhumbError } from "#base/errors.ts";
import { cidrContains, endpointText, parseCidr, parseIp, unmapIp } from "#base/ip.ts";
import type { Log } from "#base/log.ts";
import { sipKey } from "#base/siphash.ts";
import type { ClientPlace } from "#rum/aggregate.ts";
import { MAX_BEACON_OCTETS } from "#rum/beacon.ts";
import { BEACON_OUTCOMES, type BeaconDesk, type BeaconOutcome, createBeaconDesk } from "#rum/desk.ts";
import type { RumSpec } from "#state/rum.ts";
import type { LatencyShare } from "#state/shared.ts";
import type { ListenAddress } from "#state/snapshot.ts";

const LIMITS = {
  headersTimeout: 5_000,
  requestTimeout: 5_000,
  keepAliveTimeout: 5_000,
  connectionsCheckingInterval: 2_000,
  maxHeaderSize: 8_192,
} as const;
const MAX_CONNECTIONS = 1_024;
/** How long a browser may remember the answer to a preflight, in seconds. */
const PREFLIGHT_SECONDS = 86_400;

const STATUS: Readonly<Record<BeaconOutcome, number>> = {
  taken: 204,
  unplaced: 204,
  rate: 429,
  malformed: 400,
  forged: 401,
  expired: 401,
  foreign: 401,
  replayed: 429,
  region: 400,
  origin: 403,
  "too-large": 413,
};

export type RumStats = {
  readonly listens: ListenAddress | null;
  readonly beacons: Readonly<Record<BeaconOutcome, number>>;
  readonly groups: number;
  readonly voices: number;
};

export type Rum = {
  /**
   * Undefined: no beacons any more. What was learnt stays until it has faded.
   * @throws RhumbError RHUMB_RUM_LISTEN, RHUMB_RUM_TLS; then what served before goes on
   */
  apply(spec: RumSpec | undefined): Promise<void>;
  /** What may be said of autonomous systems now. */
  rows(nowMs: number): LatencyShare["rows"];
  stats(): RumStats;
  close(): Promise<void>;
};

type Open = { readonly server: Server | TlsServer; readonly key: string; readonly at: ListenAddress };

export function createRum(options: {
  readonly clock: Clock;
  readonly log: Log;
  readonly randomBytes: (octets: number) => Uint8Array;
  readonly isRegion: (id: string) => boolean;
  /** Where a client is (`geo.lookup`); asn 0: not known. */
  readonly locate: (address: Uint8Array) => ClientPlace;
}): Rum {
  const { clock, log, isRegion, locate } = options;
  let spec: RumSpec | undefined;
  let trusted: readonly NonNullable<ReturnType<typeof parseCidr>>[] = [];
  let open: Open | undefined;
  const counts = Object.fromEntries(BEACON_OUTCOMES.map((outcome) => [outcome, 0])) as Record<BeaconOutcome, number>;
  const desk: BeaconDesk = createBeaconDesk({
    spec: () => spec!,
    isRegion,
    locate,
    hashKey: sipKey(options.randomBytes(16)),
  });

  const isProxy = (address: Uint8Array): boolean => trusted.some((network) => cidrContains(network, address));
  /** @returns undefined where a proxy of ours names nobody who can be read */
  function clientOf(request: IncomingMessage): Uint8Array | undefined {
    const peer = parseIp(request.socket.remoteAddress ?? "");
    let client = peer && unmapIp(peer);
    if (!client || !isProxy(client)) return client;
    const named = String(request.headers["x-forwarded-for"] ?? "").split(",");
    while (client && isProxy(client)) {
      const text = named.pop()?.trim() ?? "";
      const next = parseIp(text);
      client = next && unmapIp(next);
    }
    return client;
  }

  function answer(response: ServerResponse, status: number, origin?: string): void {
    response.statusCode = status;
    response.setHeader("cache-control", "no-store");
    if (origin !== undefined) response.setHeader("access-control-allow-origin", origin).setHeader("vary", "origin");
    if (status === 413) response.setHeader("connection", "close");
    response.end();
  }
  const count = (outcome: BeaconOutcome): number => {
    counts[outcome]++;
    return STATUS[outcome];
  };

  function takeBeacon(request: IncomingMessage, response: ServerResponse, origin: string): void {
    const chunks: Buffer[] = [];
    let octets = 0;
    request.on("error", () => {});
    request.on("data", (chunk: Buffer) => {
      octets += chunk.length;
      if (octets <= MAX_BEACON_OCTETS) chunks.push(chunk);
      else if (!response.headersSent) answer(response, count("too-large"), origin);
    });
    request.on("end", () => {
      if (response.headersSent || !spec) return;
      const client = clientOf(request);
      const outcome = client ? desk.take(Buffer.concat(chunks), client, clock.nowMs()) : "malformed";
      answer(response, count(outcome), origin);
    });
  }

  function preflight(response: ServerResponse, origin: string): void {
    response.setHeader("access-control-allow-methods", "POST");
    response.setHeader("access-control-allow-headers", "content-type");
    response.setHeader("access-control-max-age", PREFLIGHT_SECONDS);
    answer(response, 204, origin);
  }

  function handle(request: IncomingMessage, response: ServerResponse): void {
    const { method, headers } = request;
    const [url] = request.url!.split("?"); // pages add something random, so that no cache answers
    const origin = spec?.origins.includes(headers.origin ?? "") ? headers.origin : undefined;
    if (url === "/rum/ping" && method === "GET") {
      // Pages measure it across origins: without this the browser hides its times (W3C Resource Timing).
      if (origin !== undefined) response.setHeader("timing-allow-origin", origin);
      answer(response, 204, origin);
    } else if (url !== "/rum") answer(response, 404);
    else if (method !== "POST" && method !== "OPTIONS") answer(response, 405);
    else if (origin === undefined) answer(response, count("origin"));
    else if (method === "OPTIONS") preflight(response, origin);
    else takeBeacon(request, response, origin);
  }

  const readTls = ({ certFile, keyFile }: NonNullable<RumSpec["tls"]>): { cert: Buffer; key: Buffer } => {
    try {
      return { cert: readFileSync(certFile), key: readFileSync(keyFile) };
    } catch (cause) {
      throw new RhumbError("RHUMB_RUM_TLS", certFile, { cause });
    }
  };

  async function listen({ listen: at, tls }: RumSpec): Promise<Server | TlsServer> {
    let server: Server | TlsServer;
    try {
      server = tls ? createTlsServer({ ...LIMITS, ...readTls(tls) }, handle) : createServer(LIMITS, handle);
    } catch (cause) {
      if (cause instanceof RhumbError) throw cause;
      throw new RhumbError("RHUMB_RUM_TLS", tls!.certFile, { cause });
    }
    server.maxConnections = MAX_CONNECTIONS;
    server.on("clientError", (_, socket) => socket.destroy());
    try {
      // Shared, so that a process that takes our place listens before we stop.
      server.listen({ host: at.address, port: at.port, reusePort: process.platform === "linux" });
      await once(server, "listening");
    } catch (cause) {
      throw new RhumbError("RHUMB_RUM_LISTEN", endpointText(at.address, at.port), { cause });
    }
    server.on("error", (error) => log.error({ error: String(error) }, "The listener of beacons failed"));
    return server;
  }
  async function stop({ server }: Open): Promise<void> {
    const closed = once(server, "close");
    server.close();
    server.closeAllConnections();
    await closed;
  }

  return {
    async apply(next) {
      const key = next && JSON.stringify([next.listen, next.tls !== undefined]);
      const before = open;
      if (next && key !== before?.key) {
        const server = await listen(next);
        const { address, port } = server.address() as AddressInfo;
        open = { server, key: key!, at: { address, port } };
      } else if (next?.tls && before) {
        try {
          (before.server as TlsServer).setSecureContext(readTls(next.tls));
        } catch (cause) {
          throw cause instanceof RhumbError ? cause : new RhumbError("RHUMB_RUM_TLS", next.tls.certFile, { cause });
        }
      } else if (!next) open = undefined;
      spec = next;
      trusted = (next?.proxies ?? []).map((text) => parseCidr(text)!);
      if (before && before !== open) await stop(before);
    },
    rows: (nowMs) => desk.aggregate.rows(nowMs),
    stats: () => ({ listens: open?.at ?? null, beacons: { ...counts }, ...desk.aggregate.size() }),
    async close() {
      const closing = open;
      open = undefined;
      if (closing) await stop(closing);
    },
  };
}
