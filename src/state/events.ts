/**
 * What engines tell people: one shape for the event stream, the log, metrics and alarms.
 * @module
 */
export const EVENT_KINDS = [
  "config.applied",
  "config.refused",
  "zone.loaded",
  "geo.loaded",
  "geo.refused",
  "health.transition",
  "health.blast-budget",
  "health.stale",
  "health.override-set",
  "health.override-cleared",
  "health.override-expiring",
  "health.override-expired",
  "health.safety",
  "health.failback",
  "health.disagreement",
  "health.quarantine",
  "health.reports-ignored",
  "region.load",
  "backend.transition",
  "pool.panic",
  "pool.empty",
  "engine.started",
  "engine.worker-restarted",
  "engine.stopped",
  "engine.hand-over",
  "node.drain",
  "region.evacuation",
  "anycast.prefix",
  "anycast.session",
  "anycast.self-check",
  "anycast.refused",
  "tls.certificate-expiring",
  "tls.staple",
  "acme.order",
  "kernel.fault",
  "clock.skew",
  "cluster.connection",
  "cluster.peer",
  "cluster.refused",
  "config.conflict",
  "config.desired",
  "source.fault",
  "store.fault",
  "query-log.fault",
  "names.fault",
  "notify.test",
] as const;
export type EventKind = (typeof EVENT_KINDS)[number];

export type RhumbEvent = {
  readonly kind: EventKind;
  readonly atMs: number;
  /** `info` is told, `warning` and `alarm` go to `notify:` as well. `resolved` ends an earlier alarm of the same kind and subject. */
  readonly severity: "info" | "warning" | "alarm" | "resolved";
  /** What it is about: `region/eu-west`, a file, a generation. */
  readonly subject: string;
  readonly says: string;
  readonly data?: Readonly<Record<string, string | number | boolean | null>>;
};

export type Emit = (event: RhumbEvent) => void;
