/**
 * Does this node serve? One probe through its own socket, as a client would come, and what the balancer says of its pools.
 *
 * The probes are those of `health/`: what a region is judged by from outside, it judges itself by.
 * @module
 */
import type { Clock } from "#base/clock.ts";
import type { SelfCheck } from "#bgp/create-bgp.ts";
import { isInconclusive, type StartProbe } from "#health/probes/probe.ts";
import type { AnycastSpec } from "#state/anycast.ts";
import type { RegionReport } from "#state/reports.ts";
import type { CheckSpec } from "#state/snapshot.ts";

/** A page that is missing is served all the same; a gateway without backends answers with 5xx. */
const GOOD_STATUS = [[100, 499]] as const;

export function selfCheckSpec({ kind, port, path, intervalMs, timeoutMs }: AnycastSpec["selfCheck"]): CheckSpec {
  const base = {
    name: "self-check",
    intervalMs,
    timeoutMs,
    thresholds: { down: 1, up: 1, ok: 1 },
    downSpanMs: 0,
    failback: { mode: "auto", holdMs: 0, ramp: [100], rampStepMs: 0, rampAfterMs: 0 },
  } as const;
  switch (kind) {
    case "tcp":
      return { ...base, kind, port };
    case "http": {
      const none = { host: undefined, body: undefined, tls: undefined };
      return { ...base, ...none, kind, port, path, method: "GET", headers: {}, status: GOOD_STATUS };
    }
    case "dns": {
      const question = { questionName: path, questionType: "SOA", rcode: "NOERROR", answer: undefined, overTcp: false };
      return { ...base, ...question, kind, port };
    }
    default:
      return kind satisfies never;
  }
}

export function createSelfCheck(options: {
  readonly clock: Clock;
  readonly startProbe: StartProbe;
  /** What the balancer says of itself; undefined: there is none. */
  readonly report: () => RegionReport | undefined;
}): SelfCheck {
  const { clock, startProbe, report } = options;
  return (spec, done) => {
    let isOver = false;
    let deadline: ReturnType<Clock["after"]> | undefined;
    const running = startProbe(spec.address, selfCheckSpec(spec), (result) => {
      isOver = true;
      deadline?.cancel();
      const region = report();
      const isShort = region?.isServing === false;
      // A probe that this process could not even send says nothing for the node; nor does it make it serve.
      const what = isInconclusive(result) ? `the check could not be made: ${result.says}` : result.says;
      done({ isOk: result.ok && !isShort, says: result.ok && isShort ? region.says : what });
    });
    if (!isOver) deadline = clock.after(spec.timeoutMs, () => running.expire());
    return {
      cancel() {
        deadline?.cancel();
        if (!isOver) running.cancel();
        isOver = true;
      },
    };
  };
}
