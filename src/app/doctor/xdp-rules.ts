/**
 * What `engine: xdp` needs of the machine: an interface, capabilities, koffi. The judgement is pure.
 * @module
 */
import { readFileSync } from "node:fs";
import { type Finding, ok, problem } from "#app/doctor/finding.ts";
import { unitValues } from "#app/doctor/machine-rules.ts";
import { ERRORS, RhumbError } from "#base/errors.ts";
import { countText } from "#base/units.ts";
import { missingCapabilities } from "#dns/transport/xdp/attach.ts";
import { loadXdpCalls } from "#dns/transport/xdp/calls.ts";
import { describeInterface } from "#dns/transport/xdp/interface.ts";

export type XdpFacts = {
  readonly interface: string;
  /** Receive queues; or why the interface cannot be read, and what to do. */
  readonly queues: number | { readonly says: string; readonly fix: string };
  /** Capabilities that this process does not have. */
  readonly lacking: readonly string[];
  /** Text of the systemd unit, if one is installed. */
  readonly unit: string | undefined;
};

/** @param name of the interface that the configuration names */
export function readXdp(name: string, unit: string | undefined): XdpFacts {
  const calls = loadXdpCalls();
  if (typeof calls === "string") {
    const { fix } = ERRORS.RHUMB_DNS_XDP;
    return { interface: name, queues: { says: `\`engine: xdp\`: ${calls}`, fix }, lacking: [], unit };
  }
  const lacking = missingCapabilities(readFileSync("/proc/thread-self/status", "latin1"));
  try {
    return { interface: name, queues: describeInterface(calls, name).queues, lacking, unit };
  } catch (error) {
    if (!(error instanceof RhumbError)) throw error;
    return { interface: name, queues: { says: error.message, fix: error.fix }, lacking, unit };
  }
}

export function judgeXdp({ interface: name, queues, lacking, unit }: XdpFacts): Finding[] {
  const granted = unitValues(unit, "AmbientCapabilities");
  const missing = lacking.filter((capability) => !granted.includes(capability));
  return [
    typeof queues === "number"
      ? ok("xdp", `${name} has ${countText(queues, "receive queue")}, with a worker for each`)
      : problem("xdp", queues.says, queues.fix),
    missing.length === 0
      ? ok("xdp", "rhumb may take packets before the kernel does")
      : problem(
          "xdp",
          `rhumb may not take packets before the kernel does: it lacks ${missing.join(", ")}`,
          "Add them to AmbientCapabilities and CapabilityBoundingSet of rhumb.service (docs/xdp.md)",
        ),
  ];
}
