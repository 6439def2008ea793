/**
 * Reports of regions: a balancer's node publishes its own each second, and DNS nodes hand all of them to `health/`: one vote
 * on the region, and its load.
 * @module
 */
import type { Clock, Timer } from "#base/clock.ts";
import type { Health } from "#health/engine.ts";
import type { LoadControl } from "#health/load-control.ts";
import type { RegionReport } from "#state/reports.ts";
import type { Shared } from "#state/shared.ts";

const EVERY_MS = 1_000;
const TTL_MS = 15_000;

export function joinReports(options: {
  readonly shared: Shared;
  readonly health: Pick<Health, "takeReport">;
  readonly load: Pick<LoadControl, "takeReport">;
  /** This node's own; undefined where it balances nothing. */
  readonly report: () => RegionReport | undefined;
  readonly clock: Clock;
}): { close(): void } {
  const { shared, health, load, report, clock } = options;
  const last = new Map<string, RegionReport>();

  shared.onRecord("report", (key, record) => {
    const body = record?.body;
    // A balancer speaks for the region and the name that its key says, and no other.
    if (body !== undefined && key !== `${body.region}/${record?.version.node}`) return;
    if (body !== undefined) {
      last.set(key, body);
      health.takeReport(body, true);
      load.takeReport(body);
      return;
    }
    const before = last.get(key);
    if (before === undefined) return;
    last.delete(key);
    health.takeReport(before, false);
  });

  let timer: Timer | undefined;
  function tell(): void {
    const own = report();
    if (own !== undefined) shared.publish("report", `${own.region}/${own.node}`, own, TTL_MS);
    timer = clock.after(EVERY_MS, tell);
  }
  tell();
  return { close: () => timer?.cancel() };
}
