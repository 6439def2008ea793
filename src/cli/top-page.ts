/**
 * The page of `rhumb top`: two readings of GET /stats → rates, as text. Pure.
 *
 * Units:   steady ms between readings; rates per second.
 * @module
 */
import { endpointText } from "#base/ip.ts";
import { type Cell, type Colour, paint, plain, table } from "#cli/output.ts";

type Counts = Readonly<Record<string, number>>;
export type TopStats = {
  readonly region: string;
  readonly engine: { readonly name: string } | null;
  readonly workers: readonly { readonly name: string; readonly isServing: boolean }[];
  readonly listeners: readonly {
    readonly name: string;
    readonly protocol: string;
    readonly address: string;
    readonly port: number;
    readonly counters: Counts;
  }[];
  readonly pools: readonly { readonly name: string; readonly queued: number; readonly panic: boolean }[];
  readonly backends: readonly TopBackend[];
};
type TopBackend = {
  readonly backend_id: string;
  readonly pool: string;
  readonly resolved_address: string;
  readonly port: number;
  readonly status: string;
  readonly active_connections: number;
  readonly ejected_times: number;
  readonly traffic: {
    readonly connections: number;
    readonly failures: number;
    readonly retries_away: number;
    readonly requests: number;
    readonly responses: Counts;
    readonly octets: { readonly to_backend: number; readonly from_backend: number };
    readonly latency_ms: Readonly<Record<"p50" | "p95" | "p99", number | null>> | null;
  };
};
export type Reading = { readonly stats: TopStats; readonly atMs: number };

export const SORTS = ["name", "requests", "connections", "errors", "p99"] as const;
export type Sort = (typeof SORTS)[number];

const COLOURS: Readonly<Record<string, Colour>> = {
  healthy: "green",
  unhealthy: "red",
  ejected: "red",
  draining: "yellow",
  maintenance: "yellow",
  unknown: "yellow",
};

/** `0`, `3.2`, `45`, `12.3k`, `4.5M`. */
export function rateText(rate: number): string {
  if (rate >= 999_950) return `${(rate / 1e6).toFixed(1)}M`;
  if (rate >= 9_999.5) return `${(rate / 1e3).toFixed(1)}k`;
  if (rate >= 10) return rate.toFixed(0);
  return rate === 0 ? "0" : rate.toFixed(1);
}
const millis = (value: number | null | undefined): string =>
  value === null || value === undefined ? "-" : value >= 100 ? value.toFixed(0) : value.toFixed(1);
const warn = (text: string, isBad: boolean): Cell => ({ text, colour: isBad ? "red" : undefined });

/** Work of a backend per second, requests where it speaks HTTP. */
type Rates = { readonly requests: number; readonly errors: number; readonly tries: number; readonly octets: number };
function ratesOf({ traffic }: TopBackend, before: TopBackend | undefined, seconds: number): Rates {
  const was = before?.traffic ?? traffic;
  const per = (now: number, then: number): number => Math.max(0, now - then) / seconds;
  const isHttp = traffic.requests > 0;
  const errors = (of: TopBackend["traffic"]): number => of.failures + (of.responses["5xx"] ?? 0);
  const octets = (of: TopBackend["traffic"]): number => of.octets.to_backend + of.octets.from_backend;
  return {
    requests: isHttp ? per(traffic.requests, was.requests) : per(traffic.connections, was.connections),
    errors: per(errors(traffic), errors(was)),
    tries: per(traffic.retries_away, was.retries_away),
    octets: per(octets(traffic), octets(was)),
  };
}

/**
 * @param rows at most so many backends, those of the sort's front
 * @param before undefined: no rates yet
 */
export function topPage(now: Reading, before: Reading | undefined, sort: Sort, rows: number): string {
  const { stats } = now;
  const seconds = before === undefined ? 1 : Math.max(0.001, (now.atMs - before.atMs) / 1_000);
  const was = before?.stats;

  const listeners = stats.listeners.map(({ name, protocol, address, port, counters }): Cell[] => {
    const then = was?.listeners.find((listener) => listener.name === name)?.counters ?? counters;
    const per = (...keys: string[]): number =>
      keys.reduce((sum, key) => sum + Math.max(0, (counters[key] ?? 0) - (then[key] ?? 0)), 0) / seconds;
    const errors = per("http_5xx", "no_backend", "queue_full", "queue_timeout", "connect_failed", "retry_budget");
    return [
      name,
      `${protocol} ${endpointText(address, port)}`,
      String(counters["active"] ?? 0),
      rateText(per("accepted")),
      rateText(per("http_requests")),
      warn(rateText(errors), errors > 0),
      rateText(per("http_retries", "retries")),
      rateText(per("octets_from_clients", "octets_to_clients")),
    ];
  });

  const measured = stats.backends.map((backend) => ({
    backend,
    rates: ratesOf(
      backend,
      was?.backends.find(({ backend_id }) => backend_id === backend.backend_id),
      seconds,
    ),
  }));
  type Measured = (typeof measured)[number];
  const key: Readonly<Record<Exclude<Sort, "name">, (one: Measured) => number>> = {
    requests: ({ rates }) => rates.requests,
    connections: ({ backend }) => backend.active_connections,
    errors: ({ rates }) => rates.errors,
    p99: ({ backend }) => backend.traffic.latency_ms?.p99 ?? -1,
  };
  if (sort !== "name") measured.sort((a, b) => key[sort](b) - key[sort](a));
  const shown = measured.slice(0, Math.max(1, rows));
  const backends = shown.map(({ backend, rates }): Cell[] => {
    const { latency_ms: latency } = backend.traffic;
    return [
      backend.pool,
      endpointText(backend.resolved_address, backend.port),
      { text: backend.status, colour: COLOURS[backend.status] },
      String(backend.active_connections),
      rateText(rates.requests),
      warn(rateText(rates.errors), rates.errors > 0),
      rateText(rates.tries),
      millis(latency?.p50),
      millis(latency?.p95),
      millis(latency?.p99),
      rateText(rates.octets),
    ];
  });

  const serving = stats.workers.filter(({ isServing }) => isServing).length;
  const pools = stats.pools
    .filter(({ queued, panic }) => queued > 0 || panic)
    .map(({ name, queued, panic }) => `${plain(name)}: ${queued} queued${panic ? ", health is ignored" : ""}`);
  const hidden = measured.length - shown.length;
  return [
    `${paint(`rhumb top, ${plain(stats.region)}`, "bold")}  ${serving} of ${stats.workers.length} workers, sorted by ${sort}`,
    ...(pools.length > 0 ? [paint(pools.join("  "), "yellow")] : []),
    "",
    table(["LISTENER", "WHERE", "CONNECTIONS", "NEW/s", "REQUESTS/s", "ERRORS/s", "RETRIES/s", "OCTETS/s"], listeners),
    "",
    table(
      ["POOL", "BACKEND", "STATUS", "ACTIVE", "REQUESTS/s", "ERRORS/s", "AWAY/s", "P50 ms", "P95", "P99", "OCTETS/s"],
      backends,
    ),
    ...(hidden > 0 ? [`and ${hidden} more`] : []),
  ].join("\n");
}
