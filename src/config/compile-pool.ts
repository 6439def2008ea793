/**
 * One pool → `PoolSpec`, with the targets and checks of its backends.
 * @module
 */
import { createHash } from "node:crypto";
import { resolve } from "node:path";
import { hashText } from "#base/hash.ts";
import type { BackendDraft } from "#config/backends.ts";
import { compileCheck } from "#config/compile-health.ts";
import type { ConfigFiles } from "#config/files.ts";
import type { CheckConfig } from "#health/config.ts";
import type { PoolConfig } from "#pool/config.ts";
import type { BackendSpec, OutlierSpec, PoolSpec, ProxyOutSpec, StickySpec } from "#state/balancer.ts";
import type { KeySource, UpstreamSpec } from "#state/http.ts";
import { type CheckSpec, type OverrideSpec, type TargetSpec, UNTIL_CLEARED_MS } from "#state/snapshot.ts";

/** The check of a pool, before it is known which ports it probes. */
export type PoolCheck = { readonly name: string; readonly value: CheckConfig };

export const backendTarget = (pool: string, key: string): string => `backend/${pool}/${key}`;

/**
 * `backend-` and six hex digits of a hash of pool and key, more where two would be the same. The order of the file does
 * not matter, so that nodes agree.
 *
 * @param targets ids of the targets of all backends
 */
export function backendIds(targets: readonly string[]): Map<string, string> {
  const digests = targets
    .map((target) => ({ target, digest: createHash("sha256").update(target).digest("hex") }))
    .sort((a, b) => (a.digest < b.digest ? -1 : 1));
  const ids = new Map<string, string>();
  const used = new Set<string>();
  for (const { target, digest } of digests) {
    let length = 6;
    while (used.has(digest.slice(0, length))) length += 2;
    used.add(digest.slice(0, length));
    ids.set(target, `backend-${digest.slice(0, length)}`);
  }
  return ids;
}

/** The check as it probes one backend: at its port where the check gives none, and at its own path. */
export function compileBackendCheck(
  { name, value }: PoolCheck,
  { port: backendPort, config }: BackendDraft,
  files: ConfigFiles,
): CheckSpec {
  const { healthPath } = config;
  const port = (value.kind === "script" ? undefined : value.port) ?? backendPort;
  if (healthPath === undefined) {
    const isAnyPort = value.kind === "script" && !value.args.some((argument) => argument.includes("{port}"));
    return compileCheck(isAnyPort ? name : `${name}@${port}`, value, port, files);
  }
  const named = `${name}@${port}${healthPath}`;
  if (value.kind === "http" || value.kind === "https")
    return compileCheck(named, { ...value, path: healthPath }, port, files);
  const { interval, timeout, thresholds, downSpan, failback } = value;
  const http = { kind: "http", method: "GET", headers: {}, expect: { status: [[200, 299]] } } as const;
  const timing = { interval, timeout, thresholds, downSpan, failback };
  return compileCheck(
    named,
    { ...http, ...timing, expect: { status: [...http.expect.status] }, port, path: healthPath },
    port,
    files,
  );
}

/** @param row of the backend in the health table */
export function compileBackend(draft: BackendDraft, id: string, row: number): BackendSpec {
  const { key, host, address, port, weight, priority, config, origin } = draft;
  return {
    id,
    key,
    host,
    address,
    port,
    weight,
    maxConnections: config.maxConnections,
    priority,
    zone: config.zone,
    isEnabled: config.enabled,
    target: row,
    mac: config.mac,
    healthPath: config.healthPath,
    origin,
  };
}

export function compileTarget(pool: string, draft: BackendDraft, row: number, check: string | undefined): TargetSpec {
  return {
    index: row,
    id: backendTarget(pool, draft.key),
    kind: "address",
    address: draft.address,
    check,
    isBackend: true,
  };
}

/** A row of the table says `DRAINING`: as an override it is seen, and beaten, like any other. */
export const compileDrain = (target: string, table: string): OverrideSpec => ({
  id: `table-${hashText(target).toString(16).padStart(8, "0")}`,
  target,
  verb: "drain",
  weightPercent: 0,
  reason: `DRAINING in ${table}`,
  owner: "table",
  createdAtMs: 0,
  untilMs: UNTIL_CLEARED_MS,
  origin: "file",
});

const compileOutlier = (outlier: PoolConfig["outlier"]): OutlierSpec => {
  const { enabled, interval, baseEjectionTime, maxEjectionTime, maxEjectionTimeJitter, ...rest } = outlier;
  return {
    ...rest,
    isEnabled: enabled,
    intervalMs: interval,
    baseEjectionMs: baseEjectionTime,
    // As Envoy has it: the base is never cut by the limit of its multiples.
    maxEjectionMs: Math.max(maxEjectionTime, baseEjectionTime),
    maxEjectionJitterMs: maxEjectionTimeJitter,
  };
};

function compileProxyOut(header: PoolConfig["proxyProtocol"]): ProxyOutSpec | undefined {
  if (header === undefined) return undefined;
  if (typeof header === "object") return header;
  return { version: header === "v1" ? 1 : 2, uniqueId: false, authority: false, crc32c: false };
}

/** Secrets that could not be resolved have been reported: nothing of this is applied then. */
function compileSticky(name: string, sticky: PoolConfig["sticky"], files: ConfigFiles): StickySpec | undefined {
  if (!sticky) return undefined;
  const { cookie } = sticky;
  const keys = Object.entries(cookie?.keys ?? {}).flatMap(([id, reference]) => {
    const secret = files.secrets.get(reference);
    return secret && "value" in secret ? [{ id, secret: secret.value }] : [];
  });
  return {
    by: sticky.by,
    cookie: cookie && {
      name: cookie.name ?? `rhumb-${name}`,
      keys,
      isSecure: cookie.secure,
      sameSite: cookie.sameSite,
      path: cookie.path,
      domain: cookie.domain,
    },
    ttlMs: sticky.ttl,
    store: sticky.store,
    maxEntries: sticky.maxEntries,
    duringDrain: sticky.duringDrain,
  };
}

function compileUpstream(upstream: PoolConfig["upstream"], folder: string): UpstreamSpec {
  const { tls } = upstream;
  const fileOf = (path: string | undefined): string | undefined =>
    path === undefined ? undefined : resolve(folder, path.replace(/^file:/, ""));
  return {
    protocol: upstream.protocol,
    tls: tls && {
      isVerified: tls.verify,
      caFile: fileOf(tls.ca),
      certFile: fileOf(tls.cert),
      keyFile: fileOf(tls.key),
      serverName: tls.serverName,
    },
    maxIdle: upstream.maxIdle,
    idleMs: upstream.idle,
    maxRequests: upstream.maxRequests,
    maxStreams: upstream.maxStreams,
    host: upstream.host,
    keepsUnderscores: upstream.underscores,
    passesTrailers: upstream.trailers,
  };
}

export function compilePool(
  name: string,
  pool: PoolConfig,
  check: string | undefined,
  backends: readonly BackendSpec[],
  files: ConfigFiles,
): PoolSpec {
  const { hash, queue, retry, breaker, slowStart } = pool;
  return {
    name,
    hash: hashText(name),
    mode: pool.mode,
    algorithm: pool.algorithm,
    balanceFactorPercent: hash.balanceFactor,
    hashBits: { v4: hash.v4, v6: hash.v6 },
    backends,
    check,
    connectTimeoutMs: pool.connectTimeout,
    queue: { max: queue.max, timeoutMs: queue.timeout },
    retry: {
      attempts: retry.attempts,
      budgetPercent: retry.budget,
      minPerSecond: retry.minPerSecond,
      windowMs: retry.window,
    },
    breaker: { failures: breaker.failures, baseMs: breaker.base, maxMs: Math.max(breaker.max, breaker.base) },
    outlier: compileOutlier(pool.outlier),
    slowStart: { windowMs: slowStart.window, aggression: slowStart.aggression, minPercent: slowStart.min },
    panicPercent: pool.panic,
    isFailOpen: pool.failOpen,
    minHealthy: pool.minHealthy,
    sticky: compileSticky(name, pool.sticky, files),
    drainMs: pool.drain,
    closesOnDown: pool.closeOnDown,
    proxyProtocol: compileProxyOut(pool.proxyProtocol),
    prefersLocalZone: pool.preferLocalZone,
    hashOn: (Array.isArray(hash.on) ? hash.on : [hash.on]) as readonly KeySource[],
    upstream: compileUpstream(pool.upstream, files.folder),
  };
}
