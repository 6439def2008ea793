/**
 * `outlier` of a pool in rhumb.yaml: when a backend that passes its checks and fails real traffic is ejected.
 *
 * Reader:  `config/`, as part of a pool.
 * @module
 */

import { z } from "zod";
import { doc, durationMs, flag, integer, percent } from "#base/field.ts";

const live = { reload: "live" } as const;

const chance = (standard: string, of: string) =>
  doc(percent(0, 100).prefault(standard), `Chance that ${of} ejects; 0%: it never does.`, live);

/** Envoy's fields and defaults (`envoy.config.cluster.v3.OutlierDetection`), in camelCase. */
export const outlierSchema = z.strictObject({
  enabled: doc(flag().default(true), "Eject backends that pass their checks and fail real traffic.", live),
  consecutive5xx: doc(integer(1, 10_000).default(5), "5xx in a row, where a protocol has them; else failures.", live),
  consecutiveGatewayFailure: doc(integer(1, 10_000).default(5), "502, 503, 504 in a row.", live),
  consecutiveLocalOriginFailure: doc(
    integer(1, 10_000).default(5),
    "Failed connects in a row, with `splitExternalLocalOriginErrors`.",
    live,
  ),
  interval: doc(durationMs("100ms", "1h").prefault("10s"), "Time from sweep to sweep, which ejects and returns.", live),
  baseEjectionTime: doc(
    durationMs("100ms", "24h").prefault("30s"),
    "How long an ejection lasts, times the number of ejections so far.",
    live,
  ),
  maxEjectionTime: doc(durationMs("100ms", "24h").prefault("300s"), "The longest that an ejection lasts.", live),
  maxEjectionTimeJitter: doc(durationMs("0s", "1h").prefault("0s"), "Up to this much is added at random.", live),
  maxEjectionPercent: doc(
    percent(0, 100).prefault("10%"),
    "Share of the pool that may be ejected at a time; one backend always may.",
    live,
  ),
  enforcingConsecutive5xx: chance("100%", "`consecutive5xx`"),
  enforcingConsecutiveGatewayFailure: chance("0%", "`consecutiveGatewayFailure`"),
  enforcingConsecutiveLocalOriginFailure: chance("100%", "`consecutiveLocalOriginFailure`"),
  enforcingSuccessRate: chance("100%", "a low success rate"),
  successRateMinimumHosts: doc(integer(1, 10_000).default(5), "Backends with enough requests to compare.", live),
  successRateRequestVolume: doc(
    integer(1, 1_000_000).default(100),
    "Requests within `interval` that are enough.",
    live,
  ),
  successRateStdevFactor: doc(
    integer(0, 100_000).default(1_900),
    "Thousandths of a standard deviation below the mean success rate: 1900 ejects below mean − 1.9 σ.",
    live,
  ),
  failurePercentageThreshold: doc(percent(0, 100).prefault("85%"), "Failures that are too many.", live),
  enforcingFailurePercentage: chance("0%", "`failurePercentageThreshold`"),
  failurePercentageMinimumHosts: doc(integer(1, 10_000).default(5), "Backends with enough requests.", live),
  failurePercentageRequestVolume: doc(integer(1, 1_000_000).default(50), "Requests that are enough.", live),
  splitExternalLocalOriginErrors: doc(
    flag().default(false),
    "Count failed connects apart from what answers say.",
    live,
  ),
  enforcingLocalOriginSuccessRate: chance("100%", "a low success rate of connects"),
  successfulActiveHealthCheckUnejectHost: doc(flag().default(true), "A passed check ends the ejection.", live),
});
