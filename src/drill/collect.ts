/**
 * Gathers what is to be seen of a running drill: lines of the load, events of the nodes, best routes of the routers.
 *
 * Never:   fails a drill: a node that is down tells nothing, and that is what drills are about.
 * @module
 */
import { type Clock, systemClock } from "#base/clock.ts";
import type { NodeEvent, RouteChange } from "#drill/collected.ts";
import type { LoadLine, LoadMark, LoadSecond } from "#drill/load/protocol.ts";
import { eventsOf } from "#drill/node-api.ts";
import type { Stage } from "#drill/stage.ts";

const EVENTS_EVERY_MS = 1_000;
const ROUTES_EVERY_MS = 100;

export type Collector = {
  take(line: LoadLine): void;
  /** Seconds so far, in the order in which they came. */
  readonly seconds: readonly LoadSecond[];
  readonly marks: readonly LoadMark[];
  readonly events: readonly NodeEvent[];
  readonly routes: readonly RouteChange[];
  /** Events and routes are asked for from now on; what nodes told before is left out. */
  start(): Promise<void>;
  /** Resolves after a last look. */
  stop(): Promise<void>;
};

type Watched = Pick<Stage, "nodes" | "routers" | "routes">;

/** Repeats `look` until stopped, and once more then. */
function repeat(everyMs: number, look: () => Promise<void>): { stop(): Promise<void> } {
  let isStopped = false;
  let wake: (() => void) | undefined;
  const run = async (): Promise<void> => {
    while (!isStopped) {
      await look();
      if (isStopped) break;
      const { promise, resolve } = Promise.withResolvers<void>();
      wake = resolve;
      const timer = setTimeout(resolve, everyMs);
      await promise;
      clearTimeout(timer);
    }
    await look();
  };
  const running = run();
  return {
    async stop() {
      isStopped = true;
      wake?.();
      await running;
    },
  };
}

export function createCollector(stage: Watched, clock: Pick<Clock, "nowMs"> = systemClock): Collector {
  const seconds: LoadSecond[] = [];
  const marks: LoadMark[] = [];
  const events: NodeEvent[] = [];
  const routes: RouteChange[] = [];
  const lastIds = new Map<string, string>();
  const lookers: { stop(): Promise<void> }[] = [];

  async function readEvents(keep: boolean): Promise<void> {
    const read = stage.nodes.map(async (node) => {
      // Down, or on its way back: it tells when it is there again.
      const list = await eventsOf(node, lastIds.get(node.name)).catch(() => []);
      for (const { id, event } of list) {
        lastIds.set(node.name, id);
        if (keep) events.push(event);
      }
    });
    await Promise.all(read);
  }
  async function readRoutes(): Promise<void> {
    const now = await stage.routes().catch(() => []);
    const atMs = clock.nowMs();
    for (const route of now) {
      const before = routes.findLast(({ router }) => router === route.router);
      if (before?.region !== route.region || before.path !== route.path) routes.push({ ...route, atMs });
    }
  }

  return {
    seconds,
    marks,
    events,
    routes,
    take(line) {
      if (line.kind === "second") seconds.push(line);
      else marks.push(line);
    },
    async start() {
      await readEvents(false);
      lookers.push(repeat(EVENTS_EVERY_MS, () => readEvents(true)));
      if (stage.routers.length > 0) lookers.push(repeat(ROUTES_EVERY_MS, readRoutes));
    },
    async stop() {
      await Promise.all(lookers.splice(0).map((looker) => looker.stop()));
    },
  };
}
