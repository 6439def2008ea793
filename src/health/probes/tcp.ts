/**
 * TCP probe: the three-way handshake completes. TLS probe: the TLS handshake as well, with a certificate that we like.
 * @module
 */
import { startExchange } from "#health/probes/exchange.ts";
import type { MonotonicMs, ProbeResult, RunningProbe } from "#health/probes/probe.ts";
import type { TlsCheckOptions } from "#state/snapshot.ts";

/** @param tls undefined: plain TCP */
export function startTcpProbe(
  address: string,
  port: number,
  tls: TlsCheckOptions | undefined,
  monotonicMs: MonotonicMs,
  nowMs: number,
  done: (result: ProbeResult) => void,
): RunningProbe {
  const exchange = { address, port, tls, alpn: undefined, request: undefined, reader: undefined, nowMs };
  return startExchange(exchange, monotonicMs, done);
}
