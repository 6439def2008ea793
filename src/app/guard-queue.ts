/**
 * Keeps the receive queue of one UDP worker from being flooded: ten times a second it tells `dns/guard/admission.ts` what
 * the kernel dropped and how busy the thread was, and puts the plan that comes back in front of the queue.
 *
 * Counts:  `dropped_by_kernel`, whether for want of room in the queue or by a plan.
 * @module
 */
import { isIPv6 } from "node:net";
import { performance } from "node:perf_hooks";
import { threadCpuUsage } from "node:process";
import type { Admission } from "#dns/guard/admission.ts";
import { compileAdmission } from "#dns/guard/admission-program.ts";
import type { UdpTransport } from "#dns/transport/udp.ts";
import { DNS_COUNTER } from "#state/counters.ts";

const ADJUST_EVERY_MS = 100;

/** @returns the same transport, whose closing ends the watch; as it is where its socket cannot be filtered */
export function guardQueue(
  transport: UdpTransport,
  admission: Admission,
  counters: Float64Array,
  address: string,
): UdpTransport {
  const { native } = transport;
  if (!native) return transport;
  const isIpv6 = isIPv6(address);
  let droppedBefore = native.queue().dropped;
  let cpu = threadCpuUsage();
  let lookedAtMs = performance.now();
  const timer = setInterval(() => {
    const queue = native.queue();
    const dropped = (queue.dropped - droppedBefore) >>> 0; // the kernel counts in 32 bits
    droppedBefore = queue.dropped;
    counters[DNS_COUNTER.dropped_by_kernel]! += dropped;
    // The batch engine waits for queries in a system call, so only the CPU time tells how busy the thread was.
    const nowMs = performance.now();
    const { user, system } = threadCpuUsage(cpu);
    const busyShare = Math.min(1, (user + system) / 1_000 / Math.max(1, nowMs - lookedAtMs));
    cpu = threadCpuUsage();
    lookedAtMs = nowMs;
    const plan = admission.adjust({ dropped, queueShare: queue.fullShare, busyShare }, nowMs);
    if (plan === "open") native.detachFilter();
    else if (plan) native.attachFilter(compileAdmission(plan, isIpv6));
  }, ADJUST_EVERY_MS);
  return {
    ...transport,
    close() {
      clearInterval(timer);
      return transport.close();
    },
  };
}
