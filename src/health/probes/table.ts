/**
 * The one table of probe kinds.
 * @module
 */
import type { Clock } from "#base/clock.ts";
import { startDnsProbe } from "#health/probes/dns.ts";
import { startGrpcProbe } from "#health/probes/grpc.ts";
import { startHttpProbe } from "#health/probes/http.ts";
import type { ProbeResult, StartProbe } from "#health/probes/probe.ts";
import { startScriptProbe } from "#health/probes/script.ts";
import { startTcpProbe } from "#health/probes/tcp.ts";
import type { CheckSpec } from "#state/snapshot.ts";

export function createProbes(clock: Clock): StartProbe {
  const { monotonicMs } = clock;
  return (address, check, done) => {
    switch (check.kind) {
      case "http":
      case "https":
        return startHttpProbe(address, check, monotonicMs, clock.nowMs(), done);
      case "tcp":
        return startTcpProbe(address, check.port, undefined, monotonicMs, clock.nowMs(), done);
      case "tls":
        return startTcpProbe(address, check.port, check.tls, monotonicMs, clock.nowMs(), done);
      case "dns":
        return startDnsProbe(address, check, monotonicMs, done);
      case "grpc":
        return startGrpcProbe(address, check, monotonicMs, done);
      case "script":
        return startScriptProbe(address, check, monotonicMs, done);
      default:
        return check satisfies never;
    }
  };
}

/** One probe now, its time-out included: for `POST /probe`, `rhumb doctor`, and tests. Never rejects. */
export function probeOnce(start: StartProbe, clock: Clock, address: string, check: CheckSpec): Promise<ProbeResult> {
  return new Promise((resolve) => {
    let isOver = false;
    const finish = (result: ProbeResult): void => {
      isOver = true;
      deadline?.cancel();
      resolve(result);
    };
    let deadline: ReturnType<Clock["after"]> | undefined;
    const running = start(address, check, finish);
    if (!isOver) deadline = clock.after(check.timeoutMs, () => running.expire());
  });
}
