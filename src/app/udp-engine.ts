/**
 * Which UDP engine answers: `batch` where this machine can do it, else `dgram`, and `xdp` where it is asked for; and the
 * reason, for the log, the status and the metrics.
 * @module
 */
import { RhumbError } from "#base/errors.ts";
import { type Libc, loadLibc } from "#dns/transport/libc.ts";
import { findBatchFault } from "#dns/transport/udp-batch.ts";
import { attachXdp, type XdpAttachment } from "#dns/transport/xdp/attach.ts";
import { loadXdpCalls } from "#dns/transport/xdp/calls.ts";
import type { DnsSnapshot } from "#state/snapshot.ts";

type SocketEngineName = "batch" | "dgram";
export type UdpEngineName = SocketEngineName | "xdp";
export type UdpEngine =
  | { readonly name: SocketEngineName; readonly why: string }
  /** `sockets`: what serves beside it, on the kernel's way. */
  | { readonly name: "xdp"; readonly why: string; readonly sockets: SocketEngineName };

export const socketsOf = (engine: UdpEngine): SocketEngineName =>
  engine.name === "xdp" ? engine.sockets : engine.name;

/**
 * @param asked what the configuration says
 * @throws RhumbError RHUMB_DNS_ENGINE when it asks for the batch engine by name and there cannot be one
 */
export function chooseUdpEngine(asked: DnsSnapshot["engine"], load: () => Libc | string = loadLibc): UdpEngine {
  if (asked === "xdp") {
    const sockets = socketsOf(chooseUdpEngine("auto", load));
    return { name: "xdp", why: `as configured, with ${sockets} for what the kernel is left`, sockets };
  }
  if (asked === "dgram") return { name: "dgram", why: "as configured" };
  const libc = load();
  const fault = typeof libc === "string" ? libc : findBatchFault(libc);
  if (fault === undefined) {
    return { name: "batch", why: asked === "batch" ? "as configured" : "auto: recvmmsg and sendmmsg work here" };
  }
  if (asked === "batch") throw new RhumbError("RHUMB_DNS_ENGINE", fault);
  return { name: "dgram", why: `auto: no batch engine, because ${fault}` };
}

/**
 * Puts our program on the interface that the configuration names.
 * @throws RhumbError RHUMB_DNS_XDP, or another one of `attachXdp`
 */
export function attachConfigured({ interface: name = "" }: DnsSnapshot): XdpAttachment {
  const calls = loadXdpCalls();
  if (typeof calls === "string") throw new RhumbError("RHUMB_DNS_XDP", calls);
  return attachXdp({ calls, interface: name });
}
