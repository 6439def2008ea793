/**
 * `drills/NAME.yaml`: one drill a file.
 *
 * Reader:  `read-scenario.ts`, which fills in what depends on other keys and checks what a schema cannot.
 * @module
 */
import { z } from "zod";
import { doc, durationMs, flag, integer, percent, text } from "#base/field.ts";
import { ACTIONS, MEASURES, type Measure, NEEDS } from "#drill/scenario.ts";
import { CONTINENTS } from "#drill/stage.ts";

const SHARE_MEASURES: readonly Measure[] = ["lostRequests", "lostAnycast", "lostQueries", "overCapacity", "spilled"];
const COUNT_MEASURES: readonly Measure[] = ["wrongAnswers", "emptyAnswers", "failovers"];

export type MeasureUnit = "ms" | "share" | "count";
export const unitOf = (measure: Measure): MeasureUnit =>
  SHARE_MEASURES.includes(measure) ? "share" : COUNT_MEASURES.includes(measure) ? "count" : "ms";

/** `9%` → 0.09. */
const share = (min = 0, max = 100) => percent(min, max).transform((value) => value / 100);

const boundOf = (value: () => z.ZodType<number>, expects: string) =>
  z
    .union([
      value().transform((max) => ({ max })),
      z.strictObject({
        p99: doc(value().optional(), "At most this: the nearest rank of 99 % of the samples."),
        max: doc(value().optional(), "At most this: the largest sample."),
        min: doc(value().optional(), "At least this: the least sample."),
      }),
    ])
    .optional()
    .meta({ expects: `${expects}, or a map of p99, max, min` });
const BOUNDS = {
  ms: boundOf(() => durationMs("0ms", "1h") as unknown as z.ZodType<number>, "a duration such as 7s"),
  share: boundOf(() => share(0, 1_000) as unknown as z.ZodType<number>, "a percentage such as 0.5%"),
  count: boundOf(() => integer(0, 1_000_000) as unknown as z.ZodType<number>, "a whole number"),
};

const MEANINGS: Readonly<Record<Measure, string>> = {
  detection: "From each fault until the first DNS node says that the region is down.",
  changedAnswer: "From each fault, per DNS node and client continent: until its fresh answers lead elsewhere.",
  returnedAnswer: "From each heal, per DNS node and client continent: until its fresh answers lead there again.",
  bgpConvergence: "From each fault, per router: until its best route leads elsewhere.",
  anycastFailover: "From each fault, per client continent: until its first success elsewhere at the anycast address.",
  dnsDrain: "From each fault: until under 1 % of the requests still go to the region.",
  outage: "From each fault: until the end of the last second in which a request was lost at the region.",
  lostRequests: "Requests that failed after all retries, of all.",
  lostAnycast: "Requests to the anycast address that failed, of all.",
  lostQueries: "Queries that no server answered, of all.",
  wrongAnswers: "Fresh answers with an address of no region, or of one that an operator has taken out.",
  emptyAnswers: "Fresh answers without an address, or with an error.",
  failovers: "Times that the fresh answers of a continent moved.",
  overCapacity: "Most load of any region, of its capacity.",
  spilled: "Least share of answers elsewhere while a region is over its capacity.",
};

const stepSchema = z.strictObject({
  at: doc(durationMs("0ms", "1h"), "When, from the start of the load."),
  do: doc(z.enum(ACTIONS), "What is done; docs/drills.md says what each does to which target."),
  target: doc(text("a target such as region/eu-west"), "What it is done to."),
  by: doc(
    durationMs("1ms", "1h").optional(),
    "`slow`: delay of each response; `skew-clock`: how far the clock is off.",
  ),
  share: doc(
    share().optional(),
    "`error-rate`: of the responses. `drain`: of its usual clients that it keeps; 0% without.",
  ),
  factor: doc(z.number().min(1).max(1_000).optional(), "`overload`: so many times what clients send."),
  up: doc(durationMs("100ms", "10m").optional(), "`flap`: how long it is up each time."),
  down: doc(durationMs("100ms", "10m").optional(), "`flap`: how long it is down each time."),
  times: doc(integer(1, 1_000).optional(), "`flap`: how often."),
  change: doc(
    z.enum(["broken", "empty"]).optional(),
    "`bad-config`: a file that cannot be read, or one that would leave a name without an address. Default: broken.",
  ),
});

const loadSchema = z.strictObject({
  name: doc(text("a domain name").default("www.demo.example"), "The name that clients ask for."),
  dns: doc(
    z
      .strictObject({
        clients: doc(integer(1, 100_000).default(300), "Stub resolvers with a cache each, over all continents."),
        qps: doc(integer(0, 20_000).default(60), "Queries per second that they would send without a cache."),
        stretchTtl: doc(share().prefault("9%"), "So many of them keep answers longer than their TTL."),
      })
      .prefault({}),
    "DNS clients.",
  ),
  http: doc(
    z
      .strictObject({
        rps: doc(integer(0, 20_000).default(60), "Requests per second, over all continents."),
        keepAlive: doc(flag().default(true), "Connections are used again."),
        retries: doc(integer(0, 10).default(1), "How often a request that failed is tried again."),
      })
      .prefault({}),
    "HTTP clients, who go where their DNS answer leads.",
  ),
  anycast: doc(
    z
      .strictObject({ rps: doc(integer(0, 20_000).default(0), "Requests per second, over all continents. 0: none.") })
      .prefault({}),
    "Clients of the anycast address.",
  ),
});

export const drillSchema = z.strictObject({
  name: doc(text("the name of the drill"), "What it is called."),
  shows: doc(text("a sentence"), "What it shows, in a sentence or two; stands at the top of the report."),
  needs: doc(z.array(z.enum(NEEDS)).default([]), "What it cannot do without; what is missing is named, exit code 2."),
  stages: doc(
    z
      .array(z.enum(["local", "compose"]))
      .min(1)
      .default(["local", "compose"]),
    "Where it can run.",
  ),
  world: doc(
    z.record(z.string(), z.unknown()).default({}),
    "Settings of the stage; docs/drills.md lists them. Drills with equal ones share a stage.",
  ),
  load: doc(loadSchema.prefault({}), "What clients do meanwhile."),
  calm: doc(durationMs("0s", "5m").prefault("5s"), "The load runs so long before the first step, and after the last."),
  steps: doc(z.array(stepSchema).min(1).max(100), "What is done, in order of time."),
  duration: doc(durationMs("1s", "1h").optional(), "Length of the load. Default: the last step and `calm`."),
  guards: doc(
    z
      .strictObject({
        errorRate: doc(share().optional(), "Share of requests that fail over 5 s; more aborts the drill."),
        maxDuration: doc(durationMs("1s", "2h").prefault("3m"), "No drill lasts longer, its healing aside."),
        minHealthyRegions: doc(integer(0, 100).optional(), "Fewer regions up aborts the drill."),
        alone: doc(
          flag().default(true),
          "An override or an evacuation that is not the drill's own aborts it: somebody is at work.",
        ),
      })
      .prefault({}),
    "Checked each second; broken, all is healed and the drill ends as aborted.",
  ),
  expect: doc(
    z
      .strictObject(
        Object.fromEntries(
          MEASURES.map((measure) => [measure, doc(BOUNDS[unitOf(measure)], MEANINGS[measure])]),
        ) as Record<Measure, (typeof BOUNDS)[MeasureUnit]>,
      )
      .prefault({}),
    "What makes it a test: bounds of measures. A bare value is `max`.",
  ),
  continents: doc(
    z
      .array(z.enum(CONTINENTS))
      .min(1)
      .default([...CONTINENTS]),
    "Where clients are.",
  ),
});
export type DrillFile = z.output<typeof drillSchema>;
export type StepEntry = DrillFile["steps"][number];
