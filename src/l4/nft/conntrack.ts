/**
 * Forgets the flows of a backend that is gone: in mode `nft` only the first packet of a flow meets our rules, so a UDP
 * client that keeps sending would keep reaching a dead host (kubernetes/kubernetes#19029), and a TCP client would wait for
 * its time-out instead of a reset.
 *
 * Owns:    the words for `conntrack`.
 * @module
 */
import { faultOf, type Run } from "./run.ts";

/** One direction of traffic: what clients address, and where it is sent. */
export type FlowsOf = {
  readonly protocol: "tcp" | "udp";
  readonly family: 4 | 6;
  /** Undefined: any address of this machine. */
  readonly vip: string | undefined;
  readonly vipPort: number;
  readonly backend: string;
  readonly backendPort: number;
};

/** @returns how many flows were forgotten */
export async function forgetFlows(run: Run, flows: FlowsOf): Promise<number> {
  const ran = await run("conntrack", [
    "-D",
    ...["-f", `ipv${flows.family}`],
    ...["-p", flows.protocol],
    ...(flows.vip === undefined ? [] : ["--orig-dst", flows.vip]),
    ...["--orig-port-dst", `${flows.vipPort}`],
    ...["--reply-src", flows.backend],
    ...["--reply-port-src", `${flows.backendPort}`],
  ]);
  const count = /(\d+) flow entries have been deleted/.exec(ran.err)?.[1];
  // Its exit status is 1 where there was nothing to delete.
  if (count === undefined) throw faultOf("conntrack", ran);
  return Number(count);
}
