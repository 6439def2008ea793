/**
 * A plausible report of a region's outage, by a small model: caches keep answers for their TTL, detection takes seconds,
 * requests to the dead region are lost until their retry goes elsewhere. For tests of the report; nothing was measured.
 */
import { createSeededRng, type Rng } from "#base/rng.ts";
import type { LoadSecond } from "#drill/load/protocol.ts";
import { type DrillReport, type Outcome, REPORT_VERSION } from "#drill/report/shape.ts";
import type { Continent } from "#drill/stage.ts";

export type SampleOptions = {
  readonly seed?: number;
  readonly outcome?: Outcome;
  readonly seconds?: number;
  readonly continents?: readonly Continent[];
  readonly hasBgp?: boolean;
};

const START_MS = Date.UTC(2026, 2, 14, 9, 30, 0);
const REGIONS = ["us-east", "eu-west", "ap-south"];
const HOME: Record<Continent, string> = { NA: "us-east", EU: "eu-west", AS: "ap-south" };
/** Where clients go when their home is down. */
const NEXT: Record<Continent, string> = { NA: "eu-west", EU: "us-east", AS: "eu-west" };
const KILL_S = 20;
const HEAL_S = 60;
const CHANGED_S = 4.2;
const TTL_S = 15;

type World = { readonly random: Rng; readonly length: number; readonly hasBgp: boolean };

const at = (seconds: number): number => START_MS + Math.round(seconds * 1000);
const around = (random: Rng, value: number, spread: number): number =>
  Math.max(0, value * (1 + spread * (random() + random() - 1)));

/** @returns the share of clients that still, or already, go to the home region */
function homeShare(home: string, second: number): number {
  if (home !== "eu-west" || second < KILL_S) return 1;
  if (second < HEAL_S + 6) return Math.max(0, 1 - Math.max(0, second - KILL_S - CHANGED_S) / TTL_S) ** 1.5;
  return Math.min(1, (second - HEAL_S - 6) / TTL_S);
}

function secondOf(continent: Continent, second: number, { random, hasBgp }: World): LoadSecond {
  const home = HOME[continent];
  const next = NEXT[continent];
  const isDead = home === "eu-west" && second >= KILL_S && second < HEAL_S;
  const share = homeShare(home, second);
  const queries = Math.round(around(random, 64, 0.25));
  const isAnswerMoved = home === "eu-west" && second >= KILL_S + CHANGED_S && second < HEAL_S + 6;
  const requests = Math.round(around(random, 34, 0.12));
  const toHome = Math.round(requests * share);
  const lost = isDead ? Math.round(toHome * around(random, 0.06, 0.8)) : 0;
  const slow = isDead && share > 0;
  const anycast = Math.round(around(random, 10, 0.1));
  const anycastLost = hasBgp && home === "eu-west" && second === KILL_S ? 3 : 0;
  const isRouteMoved = hasBgp && home === "eu-west" && second >= KILL_S && second < HEAL_S + 3;
  return {
    kind: "second",
    atMs: at(second),
    continent,
    dns: {
      queries,
      lost: 0,
      answers: { [isAnswerMoved ? next : home]: queries },
      p50Micros: Math.round(around(random, 900, 0.3)),
      p99Micros: Math.round(around(random, 4_200, 0.5)),
    },
    http: {
      [home]: { ok: isDead ? 0 : toHome, retried: 0, lost },
      [next]: { ok: requests - toHome, retried: isDead ? toHome - lost : 0, lost: 0 },
    },
    httpP50Ms: around(random, slow ? 95 : share < 0.5 ? 92 : 24, 0.15),
    httpP99Ms: around(random, slow ? 380 : share < 0.5 ? 130 : 48, 0.3),
    ttlAge: { meanMs: around(random, 7_200, 0.2), mostMs: around(random, slow ? 18_000 : 14_500, 0.05) },
    anycast: hasBgp
      ? { [isRouteMoved ? next : home]: { ok: anycast - anycastLost, lost: 0 }, "": { ok: 0, lost: anycastLost } }
      : {},
    late: 0,
  };
}

function eventsOf(world: World): DrillReport["events"] {
  const nodes = ["ns1", "ns2", "ns3"];
  const event = (second: number, node: string, kind: string, severity: string, subject: string, says: string) => ({
    atMs: at(second),
    node,
    kind,
    severity,
    subject,
    says,
  });
  const region = "region/eu-west";
  return [
    ...nodes.map((node, index) =>
      event(
        KILL_S + 3.1 + index / 5,
        node,
        "health.transition",
        "alarm",
        region,
        `${region} is down: 0 of 1 IPv4 addresses up`,
      ),
    ),
    event(
      KILL_S + 3.4,
      "ns2",
      "region.load",
      "info",
      "region/us-east",
      "Balancers of us-east report 48 % more load than a minute ago",
    ),
    ...(world.hasBgp
      ? [
          event(
            KILL_S + 0.2,
            "eu-west",
            "anycast.prefix",
            "warning",
            "203.0.113.1/32",
            "203.0.113.1/32 is withdrawn: the guard heard no heartbeat",
          ),
          event(HEAL_S + 3, "eu-west", "anycast.prefix", "resolved", "203.0.113.1/32", "203.0.113.1/32 is announced"),
        ]
      : []),
    event(HEAL_S + 5.5, "ns1", "health.failback", "info", region, "eu-west answers again: it is held for 2 s more"),
    ...nodes.map((node, index) =>
      event(
        HEAL_S + 6 + index / 5,
        node,
        "health.transition",
        "resolved",
        region,
        `${region} is up: 1 of 1 IPv4 addresses up`,
      ),
    ),
  ].filter(({ atMs }) => atMs < at(world.length));
}

function measuresOf(outcome: Outcome, hasBgp: boolean): DrillReport["measures"] {
  const late = outcome === "failed" ? 4_900 : 0;
  const result = (
    measure: DrillReport["measures"][number]["measure"],
    unit: "ms" | "share" | "count",
    samples: readonly { of: string; value: number }[],
    bound: DrillReport["measures"][number]["bound"],
  ): DrillReport["measures"][number] => {
    const values = samples.map(({ value }) => value).sort((a, b) => a - b);
    const pick = (share: number): number | null => values[Math.ceil(values.length * share) - 1] ?? null;
    const limit = bound?.p99 ?? bound?.max;
    const most = values.at(-1) ?? null;
    const isMet = limit === undefined || most === null ? null : most <= limit;
    return { measure, unit, samples, p50: pick(0.5), p99: pick(0.99), most, bound, isMet };
  };
  const perNode = (of: string, base: number) =>
    ["ns1", "ns2", "ns3"].map((node, index) => ({ of: `${of} at ${node} for EU`, value: base + 130 * index }));
  return [
    result("detection", "ms", [{ of: "kill region/eu-west", value: 3_108 }], null),
    result("changedAnswer", "ms", perNode("kill region/eu-west", 4_120 + late), { p99: 7_000 }),
    result("returnedAnswer", "ms", perNode("heal region/eu-west", 6_030), null),
    result("dnsDrain", "ms", [{ of: "kill region/eu-west", value: 18_400 }], { max: 35_000 }),
    ...(hasBgp
      ? [
          result(
            "bgpConvergence",
            "ms",
            [
              { of: "router-eu", value: 212 },
              { of: "router-na", value: 187 },
            ],
            { max: 2_000 },
          ),
          result("anycastFailover", "ms", [{ of: "client-eu", value: 640 }], { p99: 2_000 }),
        ]
      : []),
    result("lostRequests", "share", [{ of: "all", value: 0.00213 }], { max: 0.03 }),
    result("lostQueries", "share", [{ of: "all", value: 0 }], { max: 0 }),
    result("wrongAnswers", "count", [{ of: "all", value: 0 }], { max: 0 }),
    result("failovers", "count", [{ of: "EU", value: 2 }], null),
  ];
}

const SAYS: Record<Outcome, string> = {
  passed:
    "Losing eu-west cost 0.21 % of requests: clients were sent elsewhere within 4.4 seconds, and all came back after the heal.",
  failed: "Losing eu-west was answered too late: fresh answers changed after 9.3 seconds, and 7 seconds were allowed.",
  aborted: "The drill was aborted after 24 seconds: over 60 % of requests were lost, and everything was healed.",
  broken: "The drill could not be run: node ns3 did not start.",
};

export function sampleReport(options: SampleOptions = {}): DrillReport {
  const { seed = 1, outcome = "passed", continents = ["NA", "EU", "AS"], hasBgp = true } = options;
  const length = options.seconds ?? (outcome === "aborted" ? 25 : outcome === "broken" ? 0 : 100);
  const world: World = { random: createSeededRng(seed), length, hasBgp };
  const seconds = Array.from({ length }, (_, second) =>
    continents.map((continent) => secondOf(continent, second, world)),
  ).flat();
  const total = (of: "ok" | "retried" | "lost"): number =>
    seconds.reduce((sum, { http }) => sum + Object.values(http).reduce((some, each) => some + each[of], 0), 0);
  const requests = total("ok") + total("retried") + total("lost");
  const isRun = length > 0;
  const routers = hasBgp && isRun ? continents : [];
  const step = (second: number, action: string, isFault: boolean, says: string): DrillReport["steps"][number] => ({
    atMs: at(second),
    doneAtMs: at(second + 0.04),
    action,
    target: "region/eu-west",
    isFault,
    says,
  });
  return {
    version: REPORT_VERSION,
    drill: {
      file: "drills/region-outage.yaml",
      name: "region outage",
      shows:
        "A region dies at once: how soon clients are sent elsewhere, how many requests it costs, and that it is used again.",
      stage: "local",
    },
    outcome,
    says: SAYS[outcome],
    startedAtMs: START_MS,
    endedAtMs: at(length + 1),
    machine: { cpu: "AMD EPYC 7763", cores: 4, kernel: "6.12.48", node: "v26.10.0", rhumb: "0.1.0" },
    regions: REGIONS,
    continents,
    load: { qps: 200, rps: 100, anycastRps: hasBgp ? 30 : 0, stretchTtl: 0.09, clients: 300 },
    steps: [
      step(KILL_S, "kill", true, "eu-west refuses connections"),
      step(Math.min(HEAL_S, length), "heal", false, "eu-west serves again"),
    ].filter(() => length > KILL_S),
    seconds,
    routes: routers.flatMap((continent) => {
      const router = `router-${continent.toLowerCase()}`;
      const path = (region: string) => ({ router, region, path: `65000 ${64500 + REGIONS.indexOf(region)}` });
      const own = { atMs: at(0), ...path(HOME[continent]) };
      if (HOME[continent] !== "eu-west" || length <= KILL_S) return [own];
      const moved = { atMs: at(KILL_S + 0.2), ...path(NEXT[continent]) };
      return length <= HEAL_S ? [own, moved] : [own, moved, { atMs: at(HEAL_S + 3.1), ...path(HOME[continent]) }];
    }),
    answers: (isRun ? continents : []).flatMap((continent) =>
      ["ns1", "ns2", "ns3"].flatMap((node, index) => {
        const answer = (second: number, region: string) => ({ atMs: at(second), node, continent, regions: [region] });
        const own = answer(0, HOME[continent]);
        if (HOME[continent] !== "eu-west" || length <= KILL_S + CHANGED_S) return [own];
        const moved = answer(KILL_S + CHANGED_S + index * 0.13, NEXT[continent]);
        return length <= HEAL_S ? [own, moved] : [own, moved, answer(HEAL_S + 6 + index * 0.2, HOME[continent])];
      }),
    ),
    events: isRun ? eventsOf(world) : [],
    measures: isRun ? measuresOf(outcome, hasBgp) : [],
    drainCurve:
      length > HEAL_S
        ? Array.from({ length: 80 }, (_, index) => ({
            afterMs: index * 500,
            share: homeShare("eu-west", KILL_S + index / 2),
          }))
        : [],
    slo: {
      requests,
      ok: requests - total("lost"),
      lost: total("lost"),
      availability: requests === 0 ? 1 : 1 - total("lost") / requests,
      lostQueries: 0,
    },
    guards: [
      {
        guard: "errorRate",
        limit: "60 %",
        worst: outcome === "aborted" ? "63 %" : "6 %",
        isBroken: outcome === "aborted",
      },
      { guard: "maxDuration", limit: "3 min", worst: `${length} s`, isBroken: false },
    ],
    leftOver: outcome === "broken" ? ["process ns2 (pid 4711) still runs"] : [],
  };
}
