/**
 * What the balancers of a region say, added up: the load that clients offer, and the capacity it is measured against.
 *
 * Owns:    the last report of each balancer. One that falls silent goes on counting with what it said last: its clients are
 *          still there, and less load would draw more of them. It is forgotten when it stays away while others speak.
 * Units:   requests per second; steady ms.
 * @module
 */
import type { RegionReport } from "#state/reports.ts";

/** A report comes each second; so many that are missing are silence. */
const SILENT_AFTER_MS = 6_000;
/** A balancer that is silent for so long, while another of its region speaks, is taken for gone. */
const GONE_AFTER_MS = 600_000;
/** A balancer that turns away more than this share of what comes is full, whatever capacity it was given. */
const FULL_SHED_SHARE = 0.01;

export type ReportedLoad = {
  /** Admitted and turned away: what clients want of the region. */
  readonly offeredRps: number;
  /** Null where neither the reports nor the configuration say. */
  readonly capacityRps: number | null;
  readonly capacityFrom: "reports" | "regions.yaml" | "nobody";
  /** A balancer turns requests away for want of capacity. */
  readonly isFull: boolean;
  /** By balancer, in the order of their names. */
  readonly balancers: readonly { readonly node: string; readonly ageMs: number; readonly isSilent: boolean }[];
  /** Nobody of the region speaks any more. */
  readonly isSilent: boolean;
};

type Kept = { readonly report: RegionReport; readonly atMs: number };

export type RegionReports = {
  /** @param atMs steady ms at which it came */
  take(report: RegionReport, atMs: number): void;
  /** @returns undefined: no report ever came */
  read(nowMs: number, configuredRps: number | undefined): ReportedLoad | undefined;
};

export function createRegionReports(): RegionReports {
  const byNode = new Map<string, Kept>();

  function capacityOf(configuredRps: number | undefined): Pick<ReportedLoad, "capacityRps" | "capacityFrom"> {
    const said = [...byNode.values()].flatMap(({ report: { capacityRps } }) => capacityRps ?? []);
    const isWhole = said.length === byNode.size;
    if (configuredRps !== undefined && !isWhole) return { capacityRps: configuredRps, capacityFrom: "regions.yaml" };
    const sum = said.reduce((total, rps) => total + rps, 0);
    return sum > 0
      ? { capacityRps: sum, capacityFrom: "reports" }
      : { capacityRps: configuredRps ?? null, capacityFrom: configuredRps === undefined ? "nobody" : "regions.yaml" };
  }

  return {
    take(report, atMs) {
      byNode.set(report.node, { report, atMs });
    },
    read(nowMs, configuredRps) {
      if (byNode.size === 0) return undefined;
      const isAnyFresh = [...byNode.values()].some(({ atMs }) => nowMs - atMs <= SILENT_AFTER_MS);
      for (const [node, { atMs }] of byNode) if (isAnyFresh && nowMs - atMs > GONE_AFTER_MS) byNode.delete(node);
      let offeredRps = 0;
      let shedRps = 0;
      for (const { report } of byNode.values()) {
        offeredRps += report.admittedRps + report.shedRps;
        shedRps += report.shedRps;
      }
      return {
        offeredRps,
        ...capacityOf(configuredRps),
        isFull: shedRps > offeredRps * FULL_SHED_SHARE,
        balancers: [...byNode]
          .map(([node, { atMs }]) => ({ node, ageMs: nowMs - atMs, isSilent: nowMs - atMs > SILENT_AFTER_MS }))
          .sort((a, b) => (a.node < b.node ? -1 : 1)),
        isSilent: !isAnyFresh,
      };
    },
  };
}
