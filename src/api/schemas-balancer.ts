/**
 * The shapes of the balancer's API: backends, pools, listeners.
 *
 * Owns:    the words of these routes. They are snake_case and their times RFC 3339, as the published contract of this
 *          API has them; all others of our API are camelCase with Unix ms.
 * @module
 */
import { z } from "zod";
import { ALGORITHMS, LISTENER_PROTOCOLS, POOL_MODES } from "#state/balancer.ts";

const text = z.string();
const time = text.describe("RFC 3339");
const count = z.number().int().min(0);
const poolName = z.string().min(1).max(63);

/** Dots, digits and colons: an address; else labels of letters, digits, dashes and underscores (RFC 1123 §2.1). */
const HOST_PATTERN =
  /^(?=.{1,253}$)(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\.?$/;
const isHost = (value: string): boolean => HOST_PATTERN.test(value) && !/^[0-9.]+$/.test(value);
const isAddress = (value: string): boolean => z.ipv4().safeParse(value).success || z.ipv6().safeParse(value).success;

export const BACKEND_STATUSES = ["unknown", "healthy", "unhealthy", "draining", "maintenance", "ejected"] as const;

const weight = z.number().int().min(0).max(1_000);
const maxConnections = z.number().int().min(0).max(1_000_000).describe("0: no limit");

export const newBackendSchema = z
  .strictObject({
    address: z
      .string()
      .refine((value) => isAddress(value) || isHost(value), { error: "Must be an IP address or a host name" })
      .describe("IP address or host name"),
    port: z.number().int().min(1).max(65_535),
    weight: weight.default(1),
    health_check_path: z
      .string()
      .regex(/^\/[\x21-\x7e]*$/, { error: "Must start with / and have no spaces" })
      .optional()
      .describe("Path of an HTTP check of this backend. Default: the pool's check, whatever its kind"),
    pool: poolName.optional().describe("Needed where there are several"),
    max_connections: maxConnections.default(0),
    backup: z.boolean().default(false).describe("Serves only where no other can"),
    priority: z.number().int().min(0).max(255).optional().describe("Tier; backup: true is 1"),
    zone: z.string().min(1).max(63).optional(),
    enabled: z.boolean().default(true),
  })
  .meta({ id: "NewBackend" });

export const backendPatchSchema = z
  .strictObject({
    weight: weight.optional(),
    max_connections: maxConnections.optional(),
    enabled: z.boolean().optional().describe("False: in maintenance, without being removed"),
    priority: z.number().int().min(0).max(255).optional(),
    zone: z.string().min(1).max(63).nullable().optional(),
  })
  .meta({ id: "BackendPatch" });

const millis = z.number().nullable().describe("Of the last minute; null: there was no request");
const trafficSchema = z
  .object({
    connections: count,
    failures: count.describe("Connections that failed or broke"),
    retries_away: count.describe("Tries that went elsewhere after one here had failed"),
    requests: count.describe("HTTP requests"),
    responses: z.object({ "1xx": count, "2xx": count, "3xx": count, "4xx": count, "5xx": count }),
    octets: z.object({ to_backend: count, from_backend: count }),
    latency_ms: z.object({ p50: millis, p95: millis, p99: millis }).nullable().describe("Of HTTP requests"),
  })
  .describe("Since this process began");

export const backendSchema = z
  .object({
    backend_id: text.meta({ examples: ["backend-a1b2c3"] }),
    pool_id: text.meta({ examples: ["pool-web"] }),
    pool: text,
    address: text.describe("As configured: an IP address or a host name"),
    resolved_address: text.describe("The IP address that is connected to"),
    port: z.number(),
    weight: z.number(),
    effective_weight: z.number().describe("Weight now, with slow start and a partial drain"),
    max_connections: count,
    priority: z.number(),
    backup: z.boolean(),
    zone: text.nullable(),
    enabled: z.boolean(),
    status: z.enum(BACKEND_STATUSES),
    cause: text.nullable().describe("Why it is so, for people"),
    health_check_path: text.nullable(),
    active_connections: count,
    ejected_times: count.describe("Ejections in a row; each takes longer"),
    traffic: trafficSchema,
    origin: z.enum(["file", "table", "api"]).describe("`table`: a row of the table of `balancer.source`"),
    created_at: time,
    updated_at: time,
  })
  .meta({ id: "Backend" });

export const backendHealthSchema = z
  .object({
    backend_id: text,
    status: z.enum(BACKEND_STATUSES),
    cause: text.nullable(),
    since: time.nullable(),
    active_connections: count,
    total_requests: count.describe("Connections and sessions since this process began"),
    failures: z.object({
      current: count.describe("Failed connections in a row"),
      total: count.describe("Failed connections since this process began"),
      checks_in_a_row: count.describe("Failed checks that count towards unhealthy"),
    }),
    last_check: z
      .object({
        at: time,
        passed: z.boolean(),
        duration_ms: z.number(),
        code: text.describe("HAProxy's check_status: L4OK, L4CON, L4TOUT, L7STS, …"),
        says: text,
      })
      .nullable(),
    ejection: z.object({ reason: text, until: time, times: count }).nullable(),
    override: z.object({ verb: text, reason: text, owner: text, until: time.nullable() }).nullable(),
    connect_ms: z.number().nullable().describe("Mean time to connect since this process began"),
    octets: z.object({ to_backend: count, from_backend: count }),
  })
  .meta({ id: "BackendHealth" });

export const removedBackendSchema = z
  .object({ backend_id: text, drained_connections: count.describe("Connections in progress at the removal") })
  .meta({ id: "RemovedBackend" });

export const backendStateSchema = z
  .strictObject({
    state: z.enum(["ready", "drain", "maint"]),
    weight_percent: z
      .number()
      .int()
      .min(0)
      .max(100)
      .default(0)
      .describe("With drain: share of its weight that is left"),
    reason: z.string().trim().min(1).max(500).default("set through the API"),
    for_seconds: z.number().int().min(1).max(31_536_000).optional().describe("Default: until it is set to ready"),
  })
  .meta({ id: "BackendState" });

export const algorithmSchema = z
  .strictObject({
    algorithm: z.enum(ALGORITHMS),
    sticky_sessions: z.boolean().default(false),
    sticky_ttl_seconds: z.number().int().min(1).max(31_536_000).default(3_600),
    pool: poolName.optional().describe("Needed where there are several"),
  })
  .meta({ id: "Algorithm" });

export const poolSchema = z
  .object({
    pool_id: text.meta({ examples: ["pool-web"] }),
    name: text,
    mode: z.enum(POOL_MODES),
    algorithm: z.enum(ALGORITHMS),
    health_check: text.nullable().describe("Name of the check"),
    sticky_sessions: z.boolean(),
    sticky_ttl: count.nullable().describe("Seconds"),
    drain_seconds: count,
    backends: z.object({ total: count, healthy: count }),
    panic: z.boolean().describe("Health is ignored, because too few backends are healthy"),
    queued: count,
    active_connections: count,
    origin: z.enum(["file", "api"]),
  })
  .meta({ id: "Pool" });

export const listenerSchema = z
  .object({
    name: text,
    address: text,
    port: z.number(),
    protocol: z.enum(LISTENER_PROTOCOLS),
    pool: text.nullable(),
    counters: z.record(text, z.number()).describe("Since this process began"),
  })
  .meta({ id: "Listener" });

export const balancerStatsSchema = z
  .object({
    region: text,
    engine: z.object({ name: text, why: text, tls: z.object({ name: text, why: text }) }).nullable(),
    workers: z.array(z.object({ name: text, kind: text, restarts: count, isServing: z.boolean() })),
    listeners: z.array(listenerSchema),
    pools: z.array(poolSchema),
    backends: z.array(backendSchema),
  })
  .meta({ id: "BalancerStats" });
