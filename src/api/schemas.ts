/**
 * The shapes of the API as zod schemas: validation of what comes in, OpenAPI of what goes out, and the types of
 * `views.ts` are all made from them.
 *
 * Owns:    the words of the HTTP API. Times are Unix ms (`…AtMs`); absent values are null, never missing.
 * Readers: `api/routes/`, `api/openapi.ts`; `app/` through the types of `views.ts`.
 * Never:   looks at an engine's types; `app/` translates.
 * @module
 */
import { z } from "zod";
import { generation, nodeStateSchema, sharingSchema } from "#api/schemas-config.ts";
import { dnsStatusFields } from "#api/schemas-dns.ts";
import { learnedLatencySchema } from "#api/schemas-latency.ts";
import { regionLoadSchema } from "#api/schemas-load.ts";
import { EVENT_KINDS } from "#state/events.ts";

const text = z.string();
const atMs = z.number().describe("Unix time in ms");
const atMsOrNull = atMs.nullable();
export const SEVERITIES = ["info", "warning", "alarm", "resolved"] as const;
export const eventSchema = z
  .object({
    kind: z.enum(EVENT_KINDS),
    atMs,
    severity: z.enum(SEVERITIES),
    subject: text,
    says: text,
    data: z.record(text, z.union([z.string(), z.number(), z.boolean(), z.null()])).optional(),
  })
  .meta({ id: "Event" });

export const OVERRIDE_VERBS = ["up", "down", "drain", "ignore-health"] as const;
export const overrideSchema = z
  .object({
    id: text.describe("Stable id; DELETE /overrides/{id} takes it"),
    target: text.describe("Target or glob: region/eu-west, region/eu-*, backend/web/10.0.0.1:80"),
    verb: z.enum(OVERRIDE_VERBS),
    weightPercent: z.number().describe("Share that a draining target keeps, in percent"),
    reason: text,
    owner: text,
    createdAtMs: atMs,
    untilMs: atMs.nullable().describe("Unix time in ms; null: until it is cleared, which backends alone may have"),
    origin: z.enum(["file", "api"]),
    matches: z.array(text).describe("Ids of the targets that it applies to now"),
  })
  .meta({ id: "Override" });

export const newOverrideSchema = z
  .strictObject({
    target: z.string().min(1).max(253).describe("A target id or glob; a bare name is a region"),
    verb: z.enum(OVERRIDE_VERBS),
    weightPercent: z
      .number()
      .int()
      .min(0)
      .max(100)
      .default(0)
      .describe("With drain: the share that is left, in percent"),
    reason: z.string().trim().min(1).max(500),
    owner: z.string().trim().min(1).max(100).optional().describe("Defaults to the name of the token"),
    forMs: z.number().int().min(1_000).max(31_536_000_000).optional().describe("Duration in ms; default 4 h"),
    untilMs: z
      .number()
      .int()
      .nullable()
      .optional()
      .describe("End as Unix ms, instead of forMs; null, for backends: until it is cleared"),
    force: z
      .boolean()
      .default(false)
      .describe("Also when no region would be left up, the glob matches no target yet, or a safety rule forbids it"),
  })
  .meta({ id: "NewOverride" });

export const voteSchema = z
  .object({
    voter: text.describe("A vantage, or region/eu-west for the region's own report"),
    isOwn: z.boolean().describe("The vote of the node that answers"),
    isUp: z.boolean(),
    state: text.describe("Of vantages: up, failing, down, recovering; of regions: serving, not-serving"),
    standing: z
      .enum(["counts", "stale", "quarantined", "ignored"])
      .describe("`ignored`: reports of regions do not count now, because too many of them say no"),
    ageMs: z.number().describe("Age of the evidence"),
    sinceMs: z.number().describe("For how long the voter has been of this opinion"),
    errorClass: text.describe("Empty: it passed"),
    says: text,
    status: z.number().nullable().describe("Status of HTTP or rcode of DNS"),
    phasesMs: z.object({ connect: z.number(), tls: z.number(), answer: z.number(), total: z.number() }),
  })
  .meta({ id: "Vote" });

export const vantageSchema = z
  .object({
    vantage: text,
    isOwn: z.boolean(),
    isSound: z.boolean().describe("False: it does not trust its own network"),
    silentMs: z.number().nullable().describe("Since it was last heard; null: never"),
    quarantine: text.nullable().describe("Why its votes do not count; null: they do"),
    votes: z.object({
      up: z.number(),
      down: z.number(),
      stale: z.number().describe("Too old to count"),
    }),
  })
  .meta({ id: "Vantage" });

export const targetHealthSchema = z
  .object({
    target: text.describe("region/eu-west, or region/eu-west/192.0.2.1 for one of its addresses"),
    verdict: z.enum(["up", "down", "held", "unknown"]).describe("What the quorum of probes says"),
    serving: z.enum(["up", "down", "drain"]).describe("What steering acts on: the verdict with override and ramp"),
    state: text.describe("State of the state machine"),
    sinceMs: atMsOrNull.describe("Since when the verdict holds"),
    nextFlipAtMs: atMsOrNull.describe("Earliest time at which the verdict may change; null while quiet"),
    cause: text.nullable().describe("Why the verdict is what it is, for people"),
    rttMs: z.number().nullable().describe("Smoothed round trip of the probes"),
    excessRttMs: z.number().nullable().describe("How far the round trip lies above its own 24 h baseline"),
    loadPercent: z.number().nullable().describe("Load in percent of capacity"),
    rampPercent: z.number().describe("Share that a returning target gets; 100 outside a ramp"),
    weightPercent: z.number().describe("Share left by drain; 100 without an override"),
    isStale: z.boolean(),
    isLowConfidence: z.boolean(),
    quorum: z.number().nullable().describe("Votes that decide; null: of regions, and of what nobody votes on"),
    votes: z.array(voteSchema).describe("Who says what of it, counted or not; of regions: their own report"),
    awaitsApproval: z.boolean().describe("Failback is manual and waits for POST /regions/{id}/failback"),
    check: text.nullable(),
    lastProbe: z.object({ atMs, isPass: z.boolean(), durationMs: z.number(), says: text }).nullable(),
    override: overrideSchema.nullable().describe("The override in force, if any"),
  })
  .meta({ id: "TargetHealth" });

const origin = z.enum(["file", "api"]).describe("`api`: the overlay of PUT /config adds or changes it");

export const regionSchema = z
  .object({
    id: text,
    at: z.array(z.number()).describe("Latitude and longitude in degrees"),
    continent: text,
    country: text,
    v4: z.array(text),
    v6: z.array(text),
    capacityRps: z.number().nullable(),
    balancerUrl: text.nullable(),
    services: z.array(text).describe("Services that steer to it"),
    sharePercent: z
      .number()
      .nullable()
      .describe("Share of all steered answers of the last minute that named it first; null: there were none"),
    origin,
    health: targetHealthSchema,
    addresses: z.array(targetHealthSchema),
  })
  .meta({ id: "Region" });

export const serviceSchema = z
  .object({
    name: text,
    names: z
      .array(text)
      .describe("Domain names whose STEER record refers to it; of each zone at least the first thousand"),
    regions: z.array(
      z.object({
        id: text,
        weight: z.number(),
        priority: z.number(),
        verdict: z.enum(["up", "down", "held", "unknown"]),
        serving: z.enum(["up", "down", "drain"]),
        sharePercent: z
          .number()
          .nullable()
          .describe("Share of the service's answers of the last minute that named it first; null: there were none"),
      }),
    ),
    chain: z.array(z.looseObject({ name: text })).describe("The filters with all defaults filled in"),
    ttl: z.object({ minSeconds: z.number(), maxSeconds: z.number() }),
    fallback: text.nullable(),
    allowEmpty: z.boolean(),
    weightedBy: z.enum(["auto", "prefix", "resolver"]),
    mapId: text.nullable(),
    origin,
  })
  .meta({ id: "Service" });

export const serviceClassesSchema = z
  .object({
    service: text,
    sinceMs: atMsOrNull.describe("Since when is counted: client maps, services and regions have not changed since"),
    answers: z.number().describe("Answers to all classes"),
    classes: z
      .array(
        z.object({
          class: z.number().describe("Number in the service's client map; 0: clients that no database knows"),
          label: text.describe("What geography knows of its clients, such as EU/DE"),
          answers: z.number(),
          sharePercent: z.number(),
          regions: z
            .array(z.object({ id: text, answers: z.number() }))
            .describe("Named first, the most frequent one first"),
        }),
      )
      .describe("With the most answers first"),
  })
  .meta({ id: "ServiceClasses" });
export const serviceClassesQuerySchema = z.strictObject({
  top: z.coerce.number().int().min(1).max(1_000).default(20).describe("How many classes"),
});

export const querySchema = z
  .object({
    atMs,
    name: text.nullable().describe("Domain name, in the case in which it was asked; null: the message had no question"),
    type: text.nullable(),
    class: text.nullable(),
    rcode: text,
    flags: z.array(text).describe("Set ones of the response among aa, tc, rd, cd and do"),
    transport: z.enum(["udp", "tcp"]),
    client: text.describe("Address that asked; under `privacy: prefix` its /24 or /48"),
    ecs: z
      .object({ network: text, scopeBits: z.number() })
      .nullable()
      .describe("Client subnet of the query, and the scope of the answer"),
    addresses: z.array(text).describe("Addresses in the answer"),
    regions: z.array(text).describe("Regions of these addresses"),
    octets: z.number().describe("Length of the response"),
    isCut: z.boolean().describe("The response was longer than a sample: addresses and client subnet are not known"),
  })
  .meta({ id: "Query" });
export const queryListSchema = z
  .object({
    every: z.number().nullable().describe("One of so many responses is logged; null: none, the log is off"),
    privacy: z.enum(["prefix", "full"]),
    read: z.number().describe("Samples since the start of the process"),
    lost: z.number().describe("Samples that were not fetched in time"),
    queries: z.array(querySchema.extend({ id: text })).describe("The last ones, oldest first"),
  })
  .meta({ id: "QueryList" });
export const queriesQuerySchema = z.strictObject({
  after: z.string().max(64).optional().describe("Like Last-Event-ID: replay what came after this id"),
  name: z.string().max(1004).optional().describe("Only names like this one; * stands for any characters"),
  rcode: z.string().max(16).optional().describe("Only this response code, such as NXDOMAIN"),
});

export const explainQuerySchema = z.strictObject({
  name: z.string().min(1).max(1004).describe("Domain name"),
  type: z.string().min(1).max(16).default("A").describe("Record type"),
  from: z.string().min(1).max(64).describe("The client's network as ECS would carry it, or its address"),
  resolver: z.string().max(64).optional().describe("The resolver's address; without it, `from` asks directly"),
  at: z.string().max(64).optional().describe("Time of the answer, RFC 3339 or Unix ms; default now"),
});

/** Loose where engines may say more: people read it, and `--json` hands it on. */
export const explainSchema = z
  .looseObject({
    name: text,
    type: text,
    from: text,
    atMs,
    generation,
    rcode: text,
    says: text.describe("The outcome in one sentence"),
    service: text.nullable().describe("Null: the name is static"),
    client: z
      .looseObject({
        label: text.describe("What geography knows of the client, such as EU/DE"),
        network: text.nullable().describe("The leaf of the client map that matched"),
        class: z.number().nullable(),
        database: text.nullable(),
        override: text.nullable(),
      })
      .nullable(),
    regions: z
      .array(
        z.looseObject({
          id: text,
          says: text.describe("How the region stands in this answer"),
          cause: text.nullable().describe("What its verdict rests on now"),
          override: overrideSchema.nullable().describe("Who has overridden it, why, and until when"),
          load: regionLoadSchema.nullable().describe("What its balancers report; null: none ever did"),
          addresses: z
            .array(
              z.looseObject({
                target: text,
                verdict: z.enum(["up", "down", "held", "unknown"]),
                isLowConfidence: z.boolean(),
                quorum: z.number().nullable(),
                votes: z.array(voteSchema),
              }),
            )
            .describe("Its addresses, and who votes what on each now"),
        }),
      )
      .describe("What the chain knew of each region"),
    steps: z
      .array(
        z.looseObject({
          filter: text,
          before: z.array(text).describe("Candidates that went in, in order"),
          after: z.array(text).describe("Candidates that came out, in order"),
          says: text,
        }),
      )
      .describe("The chain, filter by filter"),
    ttl: z.object({ seconds: z.number(), says: text }).nullable(),
    scope: z.object({ bits: z.number(), says: text }).nullable(),
    slot: z.number().nullable().describe("Time slot of the selection hash; null where no filter hashes"),
    isFailOpen: z.boolean(),
    answer: z.array(text).describe("Records as text"),
    authority: z.array(text),
    additional: z.array(text),
  })
  .meta({ id: "Explanation" });

export const alarmSchema = z
  .object({ kind: text, subject: text, severity: z.enum(["warning", "alarm"]), says: text, sinceMs: atMs })
  .meta({ id: "Alarm" });

export const geoDatabaseSchema = z
  .object({
    file: text,
    type: text.nullable().describe("Database type as the file names it"),
    builtAtMs: atMsOrNull,
    loadedAtMs: atMsOrNull,
    problem: text.nullable().describe("Why the newest file was refused; null when all is well"),
  })
  .meta({ id: "GeoDatabase" });

export const statusSchema = z
  .object({
    node: text,
    version: text,
    generation,
    startedAtMs: atMs,
    uptimeSeconds: z.number(),
    roles: z.array(text),
    ...dnsStatusFields,
    balancer: z
      .object({
        region: text,
        engine: z.object({ name: text, why: text }).nullable().describe("How plain TCP is relayed, and why so"),
        workers: z.number(),
        listeners: z.array(
          z.object({ name: text, protocol: text, address: text, port: z.number(), active: z.number() }),
        ),
        pools: z.array(
          z.object({
            name: text,
            algorithm: text,
            healthy: z.number(),
            backends: z.number(),
            panic: z.boolean(),
            active: z.number(),
            queued: z.number(),
          }),
        ),
      })
      .nullable()
      .describe("Null without the role"),
    zones: z.array(
      z.object({
        apex: text,
        serial: z.number().nullable(),
        records: z.number(),
        file: text,
        problem: text.nullable().describe("Why it could not be loaded; null when it is served"),
      }),
    ),
    geo: z
      .object({
        database: geoDatabaseSchema.nullable(),
        asnDatabase: geoDatabaseSchema.nullable(),
        maps: z.array(
          z.object({
            mapId: text,
            generation: z.number(),
            classes: z.number(),
            leaves: z.number(),
            octets: z.number(),
            services: z.array(text),
          }),
        ),
      })
      .nullable(),
    config: z.object({
      file: text.nullable(),
      appliedAtMs: atMs,
      hasOverlay: z.boolean().describe("Changes made through the API lie over the files"),
      lastReload: z.object({ atMs, isOk: z.boolean(), says: text }).nullable(),
    }),
    counts: z.object({
      regions: z.number(),
      regionsUp: z.number(),
      services: z.number(),
      targets: z.number(),
      overrides: z.number(),
    }),
    nodes: z.array(nodeStateSchema).describe("This node and the others, by name"),
    sharing: sharingSchema,
    queries: z.object({ total: z.number(), perSecond: z.number().nullable() }).nullable(),
    alarms: z.array(alarmSchema),
  })
  .meta({ id: "Status" });

export const latencyEntrySchema = z
  .strictObject({
    network: z.string().max(64).describe("Client network, such as 198.51.100.0/24"),
    rttMs: z.record(z.string().max(63), z.number().min(0).max(60_000)).describe("Measured round trip per region id"),
  })
  .meta({ id: "LatencyEntry" });
export const newLatencySchema = z
  .strictObject({
    entries: z.array(latencyEntrySchema).max(20_000),
    replace: z.boolean().default(false).describe("True: the table becomes these entries; false: they are merged in"),
  })
  .meta({ id: "NewLatency" });
export const latencySchema = z
  .object({
    generation: z.number(),
    networks: z.number(),
    entries: z.array(latencyEntrySchema).describe("What operators said; it goes before what was learnt"),
    learned: learnedLatencySchema,
  })
  .meta({ id: "Latency" });

export const newGeoReloadSchema = z
  .strictObject({
    force: z.boolean().default(false).describe("Also a database that has lost much of what the one in use has"),
  })
  .meta({ id: "NewGeoReload" });
export const geoReloadSchema = z
  .object({
    isLoaded: z.boolean().describe("The files on disk are what is in use now"),
    problems: z.array(text).describe("Why a file was refused; the database loaded before stays in use"),
    database: geoDatabaseSchema.nullable(),
    asnDatabase: geoDatabaseSchema.nullable(),
  })
  .meta({ id: "GeoReload" });

export const newProbeSchema = z
  .strictObject({
    address: z.string().max(64).describe("IP address to query"),
    port: z.number().int().min(1).max(65_535).default(53).describe("53, or a port that this node itself listens on"),
    name: z.string().min(1).max(1004).describe("Domain name to ask for"),
    type: z.string().max(16).default("SOA"),
  })
  .meta({ id: "NewProbe" });
const probeOutcome = z.object({
  isAnswered: z.boolean(),
  rcode: text.nullable(),
  isAuthoritative: z.boolean(),
  isTruncated: z.boolean(),
  answer: z.array(text),
  rttMs: z.number().nullable(),
  says: text,
});
export const probeSchema = z
  .object({ node: text, address: text, port: z.number(), udp: probeOutcome, tcp: probeOutcome })
  .meta({ id: "Probe" });

export const auditEntrySchema = z
  .object({
    atMs,
    name: text.describe("Name of the token, or of the user of the Unix socket"),
    role: z.enum(["read", "operate", "admin"]).nullable(),
    remote: text,
    action: text.describe("Method and route"),
    subject: text,
    status: z.number().describe("HTTP status of the outcome"),
    says: text,
    diff: text.optional().describe("What changed in the texts of the configuration; secrets are masked"),
  })
  .meta({ id: "AuditEntry" });

export const readinessSchema = z
  .object({ isReady: z.boolean(), reasons: z.array(text).describe("What is missing; empty when ready") })
  .meta({ id: "Readiness" });

export const drainSchema = z
  .object({
    isDraining: z.boolean(),
    sinceMs: z.number().nullable(),
    owner: text.nullable(),
    reason: text.nullable(),
  })
  .meta({ id: "NodeDrain" });

export const failbackSchema = z
  .object({ region: text, isApproved: z.boolean(), says: text })
  .meta({ id: "FailbackApproval" });
export const demoSchema = z.object({ region: text, isRunning: z.boolean(), says: text }).meta({ id: "DemoChange" });
