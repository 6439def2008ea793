/** A stage that only writes down what was asked of it, with a node whose API says what a test wants. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { TestContext } from "node:test";
import type { Scenario, Step } from "#drill/scenario.ts";
import type { Stage } from "#drill/stage.ts";
import { step } from "./seen.ts";

export type FakeStage = {
  readonly stage: Stage;
  /** `start`, `kill region/eu-west`, `undo kill region/eu-west`, `stop`. */
  readonly log: string[];
  /** What `differences()` says. */
  left: string[];
  overrides: { id: string; target: string; verb: string; owner: string }[];
  events: { id: string; atMs: number; kind: string; severity: string; subject: string; says: string }[];
};

export async function fakeStage(
  context: Pick<TestContext, "after">,
  more: { perform?: (step: Step) => Promise<void>; undo?: (step: Step) => Promise<void>; can?: Stage["can"] } = {},
): Promise<FakeStage> {
  const fake = { log: [] as string[], left: [], overrides: [], events: [] } as Omit<FakeStage, "stage">;
  const regions = ["us-east", "eu-west"];
  const api = createServer((request, response) => {
    const path = new URL(request.url ?? "/", "http://x").pathname;
    const bodies: Record<string, unknown> = {
      "/regions": regions.map((id) => ({ id, health: { serving: "up" } })),
      "/overrides": fake.overrides,
      "/evacuations": [],
      "/events": fake.events,
    };
    response.statusCode = request.headers.authorization === "Bearer t" ? 200 : 401;
    response.setHeader("content-type", "application/json");
    response.end(JSON.stringify(bodies[path] ?? null));
  });
  api.listen(0, "127.0.0.1");
  await once(api, "listening");
  context.after(() => {
    api.closeAllConnections();
    api.close();
  });
  const address = "127.0.0.1";
  const stage: Stage = {
    name: "local",
    regions: regions.map((id, index) => ({
      id,
      addresses: [`127.0.1${index + 1}.1`],
      port: 80,
      capacityRps: undefined,
    })),
    nodes: [
      {
        name: "ns1",
        dns: { address, port: 53 },
        api: `http://127.0.0.1:${(api.address() as AddressInfo).port}`,
        token: "t",
      },
    ],
    clients: [
      { continent: "EU", network: "198.51.100.0/24", resolvers: [], isResolver: false, ways: {}, anycast: undefined },
      { continent: "NA", network: "192.0.2.0/24", resolvers: [], isResolver: false, ways: {}, anycast: undefined },
    ],
    routers: [],
    async start() {
      fake.log.push("start");
    },
    async perform(done) {
      const what = `${done.action} ${done.target}`;
      fake.log.push(what);
      await more.perform?.(done);
      return async () => {
        fake.log.push(`undo ${what}`);
        await more.undo?.(done);
      };
    },
    can: more.can ?? (() => undefined),
    routes: async () => [],
    loadCommand: () => [process.execPath, join(import.meta.dirname, "fake-load.ts")],
    differences: async () => fake.left,
    async stop() {
      fake.log.push("stop");
    },
  };
  return Object.assign(fake, { stage });
}

export const scenario = (more: Partial<Scenario> = {}): Scenario => ({
  file: "drills/small.yaml",
  name: "small",
  shows: "that it runs",
  needs: [],
  stages: ["local"],
  world: {},
  load: {
    name: "calm",
    dns: { clients: 2, qps: 1, stretchTtl: 0 },
    http: { rps: 1, keepAlive: true, retries: 1 },
    anycast: { rps: 0 },
  },
  calmMs: 0,
  steps: [step(200, "kill", "region/eu-west"), step(900, "heal", "region/eu-west")],
  durationMs: 2_000,
  guards: { errorRate: 0.5, maxDurationMs: 60_000, minHealthyRegions: 1, isAlone: true },
  expect: { lostRequests: { max: 0 } },
  continents: ["EU", "NA"],
  ...more,
});

export const named = (name: string): Pick<Scenario, "load"> => ({ load: { ...scenario().load, name } });
