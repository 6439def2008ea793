/**
 * Which UDP engine answers: `batch` where this machine can do it, else `dgram`; and the reason, for the log, the status
 * and the metrics.
 * @module
 */
import { RhumbError } from "#base/errors.ts";
import { type Libc, loadLibc } from "#dns/transport/libc.ts";
import { findBatchFault } from "#dns/transport/udp-batch.ts";
import type { DnsSnapshot } from "#state/snapshot.ts";

export type UdpEngineName = "batch" | "dgram";
export type UdpEngine = { readonly name: UdpEngineName; readonly why: string };

/**
 * @param asked what the configuration says
 * @throws RhumbError RHUMB_DNS_ENGINE when it asks for the batch engine by name and there cannot be one
 */
export function chooseUdpEngine(asked: DnsSnapshot["engine"], load: () => Libc | string = loadLibc): UdpEngine {
  if (asked === "dgram") return { name: "dgram", why: "as configured" };
  const libc = load();
  const fault = typeof libc === "string" ? libc : findBatchFault(libc);
  if (fault === undefined) {
    return { name: "batch", why: asked === "batch" ? "as configured" : "auto: recvmmsg and sendmmsg work here" };
  }
  if (asked === "batch") throw new RhumbError("RHUMB_DNS_ENGINE", fault);
  return { name: "dgram", why: `auto: no batch engine, because ${fault}` };
}
