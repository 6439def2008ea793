/** Views and commands that remember what they were asked, and a started API around them. */

import { createAuditLog } from "#api/audit-log.ts";
import type { ApiOptions } from "#api/create-api.ts";
import { createApi } from "#api/create-api.ts";
import { createEventRing } from "#api/event-ring.ts";
import type {
  Actor,
  AnycastShape,
  Commands,
  ConfigPushView,
  DesiredLogView,
  ExplainView,
  OverrideView,
  QueryView,
  RegionView,
  StatusView,
  TargetHealthView,
  Views,
} from "#api/views.ts";
import { createManualClock } from "#base/clock.ts";
import { RhumbError } from "#base/errors.ts";
import { silentLog } from "#base/log.ts";
import type { ControlSnapshot } from "#state/snapshot.ts";
import { type Call, createFakeBalancer } from "./fake-balancer.ts";
import { createFakeEvacuations, EVACUATION } from "./fake-evacuation.ts";

export const TOKENS = { read: "read-token-0001", operate: "operate-token-0002", admin: "admin-token-0003" } as const;
export const CONTROL: ControlSnapshot = {
  listen: { address: "127.0.0.1", port: 0 },
  tokens: [
    { name: "rita", token: TOKENS.read, role: "read" },
    { name: "olga", token: TOKENS.operate, role: "operate" },
    { name: "ada", token: TOKENS.admin, role: "admin" },
  ],
  tls: undefined,
  peers: [],
  stateFolder: "/nonexistent",
};

const targetHealth = (target: string): TargetHealthView => ({
  target,
  verdict: "up",
  serving: "up",
  state: "up",
  sinceMs: 1_799_999_000_000,
  nextFlipAtMs: null,
  cause: null,
  rttMs: 1.5,
  excessRttMs: null,
  loadPercent: null,
  rampPercent: 100,
  weightPercent: 100,
  isStale: false,
  isLowConfidence: false,
  quorum: 1,
  votes: [],
  awaitsApproval: false,
  check: "region-http",
  lastProbe: { atMs: 1_799_999_999_000, isPass: true, durationMs: 1.4, says: "200 OK" },
  override: null,
});

const ANYCAST: AnycastShape = {
  isConfigured: true,
  exabgp: { isAnswering: true, says: "ExaBGP 4.2.21 answers", answeredAtMs: 1_800_000_000_000, version: "4.2.21" },
  guard: { isReading: true, says: "The guard reads the heartbeat" },
  selfCheck: { isOk: true, sinceMs: 1_799_999_000_000, says: "HTTP status 200" },
  peers: [{ neighbour: "192.0.2.1", isEstablished: true, asn: 65_000, upSinceMs: 1_799_999_000_000 }],
  prefixes: [
    {
      prefix: "203.0.113.1/32",
      phase: "advertised",
      sinceMs: 1_799_999_000_000,
      says: "This node serves",
      announced: { route: "announce route 203.0.113.1/32 next-hop self", atMs: 1_799_999_000_000 },
      heldUntilMs: null,
      flaps: 0,
      advertisers: ["lb1"],
    },
  ],
};

type Vote = TargetHealthView["votes"][number];
const vote = (over: Partial<Vote>): Vote => ({
  voter: "ns1",
  isOwn: false,
  isUp: true,
  state: "up",
  standing: "counts",
  ageMs: 1_000,
  sinceMs: 60_000,
  errorClass: "",
  says: "ok",
  status: null,
  phasesMs: { connect: 0.2, tls: 0, answer: 1, total: 1.2 },
  ...over,
});

const region = (id: string, v4: string): RegionView => ({
  id,
  at: [50.1, 8.7],
  continent: "EU",
  country: "DE",
  v4: [v4],
  v6: [],
  capacityRps: 1000,
  balancerUrl: null,
  services: ["www"],
  sharePercent: 50,
  origin: "file",
  health: targetHealth(`region/${id}`),
  addresses: [targetHealth(`region/${id}/${v4}`)],
});

export const STATUS: StatusView = {
  node: "ns1",
  version: "0.1.0",
  generation: "1.3",
  startedAtMs: 1_799_999_000_000,
  uptimeSeconds: 1000,
  roles: ["dns"],
  engine: { name: "dgram", why: "the only one so far", xdp: null },
  listen: [
    { address: "127.0.0.1", port: 5300, transport: "udp" },
    { address: "127.0.0.1", port: 5300, transport: "tcp" },
  ],
  workers: [{ id: "udp-0", kind: "udp", state: "serving", generation: "1.3", restarts: 0 }],
  balancer: null,
  zones: [{ apex: "demo.example.", serial: 1, records: 20, file: "zones/demo.example.zone", problem: null }],
  geo: {
    database: {
      file: "geo-data/demo.mmdb",
      type: "Demo-City",
      builtAtMs: 1_790_000_000_000,
      loadedAtMs: 1_799_999_000_000,
      problem: null,
    },
    asnDatabase: null,
    maps: [{ mapId: "m1", generation: 1, classes: 12, leaves: 100, octets: 4096, services: ["www"] }],
  },
  config: { file: "rhumb.yaml", appliedAtMs: 1_799_999_000_000, hasOverlay: false, lastReload: null },
  counts: { regions: 2, regionsUp: 2, services: 1, targets: 4, overrides: 0 },
  sharing: { by: "alone", isConnected: true, says: "This node is alone: it shares nothing" },
  nodes: [
    { node: "ns1", isOwn: true, state: "serves", generation: "1.3", desired: "1.5.ns1", version: "0.1.0", says: "" },
    {
      node: "ns2",
      isOwn: false,
      state: "refused",
      generation: "1.9",
      desired: "1.5.ns1",
      version: "0.1.0",
      says: "zones/services.yaml:1:1 www: there is no region mars",
    },
  ],
  queries: { total: 42, perSecond: 1.5 },
  alarms: [
    {
      kind: "geo.refused",
      subject: "geo-data/demo.mmdb",
      severity: "alarm",
      says: "the database is broken",
      sinceMs: 1_799_999_500_000,
    },
  ],
};

export const QUERY: QueryView = {
  atMs: 1_800_000_000_000,
  name: "www.Demo.example.",
  type: "A",
  class: "IN",
  rcode: "NOERROR",
  flags: ["aa", "rd"],
  transport: "udp",
  client: "192.0.2.0/24",
  ecs: { network: "198.51.100.0/24", scopeBits: 20 },
  addresses: ["127.0.12.1"],
  regions: ["eu-west"],
  octets: 73,
  isCut: false,
};

export const DESIRED_LOG: DesiredLogView = [
  {
    version: "1.5.ns1",
    atMs: 1_799_999_000_000,
    actor: "kim",
    reason: "move www",
    breakGlass: null,
    files: ["zones/services.yaml"],
    state: "serves",
    says: "service www changed: chain",
  },
  {
    version: "1.4.ns2",
    atMs: 1_799_990_000_000,
    actor: "ada",
    reason: "",
    breakGlass: "app is gone",
    files: ["zones/services.yaml"],
    state: "served",
    says: "service app removed",
  },
];
const PUSHED: ConfigPushView = {
  isApplied: true,
  isDryRun: false,
  generation: "1.4",
  problems: [],
  changes: ["service www changed: chain"],
  version: "1.7.ns1",
  diff: "",
};

const EXPLANATION: ExplainView = {
  name: "www.demo.example.",
  type: "A",
  from: "198.51.100.0/24",
  atMs: 1_800_000_000_000,
  generation: "1.3",
  rcode: "NOERROR",
  says: "eu-west is the nearest region that is up",
  service: "www",
  client: { label: "EU/DE", network: "198.51.100.0/24", class: 3, database: "demo.mmdb", override: null },
  regions: [
    {
      id: "eu-west",
      says: "up",
      cause: null,
      override: null,
      load: {
        region: "eu-west",
        measuredRps: 612,
        capacityRps: 1_000,
        capacityFrom: "reports",
        measuredPercent: 61.2,
        predictedPercent: 65,
        effectivePercent: 63,
        frozenSinceMs: null,
        balancers: [{ node: "lb-eu", ageMs: 800, isSilent: false }],
      },
      addresses: [],
    },
    {
      id: "us-east",
      says: "down",
      cause: "0 of 1 IPv4 addresses up",
      override: null,
      load: null,
      addresses: [
        {
          target: "region/us-east/192.0.2.1",
          verdict: "down",
          isLowConfidence: false,
          quorum: 2,
          votes: [
            vote({ voter: "ns1", isOwn: true, isUp: false, state: "down", says: "connection refused" }),
            vote({ voter: "ns2", isUp: true, state: "up", says: "HTTP status 200", standing: "quarantined" }),
            vote({ voter: "ns3", isUp: false, state: "recovering", says: "connection refused" }),
          ],
        },
      ],
    },
    {
      id: "ap-south",
      says: "overridden down",
      cause: "1 of 1 IPv4 addresses up",
      load: null,
      addresses: [],
      override: {
        id: "o9",
        target: "region/ap-south",
        verb: "down",
        weightPercent: 100,
        reason: "kernel upgrade",
        owner: "kim",
        createdAtMs: 1_799_999_000_000,
        untilMs: 1_800_000_600_000,
        origin: "api",
        matches: ["region/ap-south"],
      },
    },
  ],
  steps: [
    { filter: "healthy", before: ["us-east", "eu-west"], after: ["us-east", "eu-west"], says: "all are up" },
    { filter: "first", before: ["eu-west", "us-east"], after: ["eu-west"], says: "kept 1" },
  ],
  ttl: { seconds: 30, says: "all is quiet" },
  scope: { bits: 24, says: "depth of the leaf" },
  slot: null,
  isFailOpen: false,
  answer: ["www.demo.example. 30 IN A 127.0.12.1"],
  authority: [],
  additional: [],
};

export type World = ReturnType<typeof createWorld>;

export function createWorld(
  options: {
    control?: ControlSnapshot;
    isDemo?: boolean;
    isReady?: boolean;
    isLogOff?: boolean;
    balancer?: ReturnType<typeof createFakeBalancer> | undefined;
  } & Pick<Partial<ApiOptions>, "log"> = {},
) {
  const clock = createManualClock();
  const calls: Call[] = [];
  const balancer = "balancer" in options ? options.balancer : createFakeBalancer(calls);
  const overrides: OverrideView[] = [];
  const views: Views = {
    balancer: balancer?.views,
    status: () => STATUS,
    readiness: (pools) =>
      pools.includes("empty")
        ? { isReady: false, reasons: [pools.join(" ")] }
        : options.isReady === false
          ? { isReady: false, reasons: ["no zone is loaded"] }
          : { isReady: true, reasons: [] },
    regions: () => [region("us-east", "127.0.11.1"), region("eu-west", "127.0.12.1")],
    services: () => [
      {
        name: "www",
        names: ["www.demo.example."],
        regions: [{ id: "eu-west", weight: 1, priority: 1, verdict: "up", serving: "up", sharePercent: 62.5 }],
        chain: [{ name: "healthy", onEmpty: "undo" }, { name: "geo" }],
        ttl: { minSeconds: 5, maxSeconds: 30 },
        fallback: null,
        allowEmpty: false,
        weightedBy: "auto",
        mapId: "m1",
        origin: "api",
      },
    ],
    serviceClasses: (name, top) => {
      calls.push({ command: "serviceClasses", input: { name, top } });
      if (name !== "www") return undefined;
      const regions = [
        { id: "eu-west", answers: 70 },
        { id: "us-east", answers: 5 },
      ];
      const busiest = { class: 3, label: "EU/DE", answers: 75, sharePercent: 75, regions };
      return { service: "www", sinceMs: 1_799_999_000_000, answers: 100, classes: [busiest] };
    },
    queryLog: () => ({
      every: options.isLogOff ? null : 1_000,
      privacy: "prefix",
      read: queries.list().length,
      lost: 0,
    }),
    health: () => [targetHealth("region/eu-west")],
    vantages: () => [
      {
        vantage: "ns1",
        isOwn: true,
        isSound: true,
        silentMs: 0,
        quarantine: null,
        votes: { up: 2, down: 0, stale: 0 },
      },
      {
        vantage: "ns2",
        isOwn: false,
        isSound: false,
        silentMs: 3_000,
        quarantine: "it does not trust its own network",
        votes: { up: 1, down: 1, stale: 0 },
      },
    ],
    overrides: () => overrides,
    explain: (request) => {
      calls.push({ command: "explain", input: request });
      return EXPLANATION;
    },
    config: () => ({
      generation: "1.3",
      appliedAtMs: 1,
      files: ["rhumb.yaml"],
      document: { version: 1, node: "ns1" },
      overlay: null,
    }),
    configExport: () => "version: 1\nnode: ns1\n",
    desired: () => ({
      version: "1.5.ns1",
      isServed: true,
      refusal: "",
      files: { "zones/services.yaml": "a: 1\n" },
      overlay: { services: { www: { ttl: { max: "20s" } } } },
      forks: [],
    }),
    desiredLog: () => DESIRED_LOG,
    desiredDiff: (from, to) => ({ from, to: to ?? "1.5.ns1", diff: `--- ${from}\n+++ ${to ?? "1.5.ns1"}\n` }),
    latency: () => ({ generation: 1, networks: 0, entries: [], learned: [] }),
    anycast: () => ANYCAST,
    evacuations: () => [EVACUATION],
    rum: () => ({ listens: null, beacons: { taken: 0 }, groups: 0, voices: 0, learned: [] }),
    load: () => ({ regions: [], drain: { ttlSeconds: 30, stretchingPercent: 9 }, spread: null }),
    metrics: () => ({ contentType: "text/plain; version=0.0.4; charset=utf-8", text: "rhumb_up 1\n" }),
  };
  const commands: Commands = {
    balancer: balancer?.commands,
    setOverride(request, actor) {
      calls.push({ command: "setOverride", input: request, actor });
      if (request.target === "region/*" && !request.force)
        throw new RhumbError("RHUMB_HEALTH_OVERRIDE_EMPTIES_SERVICE", "www");
      const { force: _force, ...rest } = request;
      const override: OverrideView = {
        ...rest,
        id: `o${overrides.length + 1}`,
        createdAtMs: clock.nowMs(),
        origin: "api",
        matches: [request.target],
      };
      overrides.push(override);
      return override;
    },
    clearOverride(id, actor) {
      calls.push({ command: "clearOverride", input: id, actor });
      const at = overrides.findIndex((override) => override.id === id);
      return at < 0 ? undefined : overrides.splice(at, 1)[0];
    },
    approveFailback(id, actor) {
      calls.push({ command: "approveFailback", input: id, actor });
      return { region: id, isApproved: true, says: "returns through the ramp" };
    },
    proposeConfig(request, actor) {
      calls.push({ command: "proposeConfig", input: request, actor });
      const isBad = request.overlay !== undefined && "bad" in request.overlay;
      const problem = {
        file: "overlay",
        line: 1,
        column: 1,
        path: "bad",
        severity: "error",
        says: "Unknown key",
        fix: "Remove it",
      } as const;
      return {
        isApplied: !request.isDryRun && !isBad,
        isDryRun: request.isDryRun,
        generation: request.isDryRun || isBad ? null : "1.4",
        problems: isBad ? [problem] : [],
        changes: ["dns.workers: 1 -> 2"],
        version: "1.6.ns1",
        diff: "--- a/zones/services.yaml\n+++ b/zones/services.yaml\n@@ -1,1 +1,1 @@\n-a: 1\n+a: 2\n",
      };
    },
    rollbackConfig(request, actor) {
      calls.push({ command: "rollbackConfig", input: request, actor });
      return PUSHED;
    },
    resolveConfig(request, actor) {
      calls.push({ command: "resolveConfig", input: request, actor });
      return PUSHED;
    },
    reloadConfig(actor) {
      calls.push({ command: "reloadConfig", input: undefined, actor });
      return { isApplied: true, isDryRun: false, generation: "1.4", problems: [], changes: [] };
    },
    setLatency(request, actor) {
      calls.push({ command: "setLatency", input: request, actor });
      return { generation: 2, networks: request.entries.length, entries: request.entries, learned: [] };
    },
    reloadGeo(isForced, actor) {
      calls.push({ command: "reloadGeo", input: isForced, actor });
      const problems = isForced ? [] : ['Will not replace the geo database in use by "demo.mmdb"'];
      return { isLoaded: isForced, problems, database: STATUS.geo!.database, asnDatabase: null };
    },
    probe(request) {
      calls.push({ command: "probe", input: request });
      const outcome = {
        isAnswered: true,
        rcode: "NOERROR",
        isAuthoritative: true,
        isTruncated: false,
        answer: [],
        rttMs: 1,
        says: "answered",
      };
      return { node: "ns1", address: request.address, port: request.port, udp: outcome, tcp: outcome };
    },
    testNotify(name, actor) {
      calls.push({ command: "testNotify", input: name, actor });
      return [{ name: name ?? "hook", isDelivered: true, says: "200" }];
    },
    ...createFakeEvacuations(calls),
    startDrain(reason, actor) {
      calls.push({ command: "startDrain", input: reason, actor });
      return { isDraining: true, sinceMs: clock.nowMs(), owner: actor.name, reason: reason ?? null };
    },
    announceAnycast(actor) {
      calls.push({ command: "announceAnycast", input: undefined, actor });
      return ANYCAST;
    },
    withdrawAnycast(reason, actor) {
      if (reason === "too few") throw new RhumbError("RHUMB_ANYCAST_REFUSED", "nobody else announces it");
      calls.push({ command: "withdrawAnycast", input: reason, actor });
      return ANYCAST;
    },
    stopDrain(actor) {
      calls.push({ command: "stopDrain", input: undefined, actor });
      return { isDraining: false, sinceMs: null, owner: null, reason: null };
    },
    records: {
      exchange(request) {
        calls.push({ command: "exchange", input: request, actor: undefined });
        return { copies: [], want: Object.keys(request.digest), unequal: [] };
      },
      take: (line) => (line.startsWith("rhumb1") ? undefined : "damaged"),
    },
    ...(options.isDemo === false
      ? {}
      : {
          demo: {
            kill(id: string, actor: Actor) {
              calls.push({ command: "kill", input: id, actor });
              return { region: id, isRunning: false, says: "killed" };
            },
            heal(id: string, actor: Actor) {
              calls.push({ command: "heal", input: id, actor });
              return { region: id, isRunning: true, says: "started" };
            },
          },
        }),
  };
  const events = createEventRing({ run: "run1", capacity: 8 });
  const queries = createEventRing<QueryView>({ run: "run1", capacity: 8 });
  const audit = createAuditLog({ file: undefined, log: silentLog });
  const api = createApi({
    control: options.control ?? CONTROL,
    views,
    commands,
    events,
    queries,
    audit,
    version: "0.1.0",
    log: options.log ?? silentLog,
    clock,
  });
  return { api, views, commands, calls, overrides, events, queries, audit, clock };
}

export const bearer = (role: keyof typeof TOKENS): Record<string, string> => ({
  authorization: `Bearer ${TOKENS[role]}`,
});
