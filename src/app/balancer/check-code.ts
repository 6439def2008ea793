/**
 * Results of checks in HAProxy's words (`check_status` of its statistics), which operators' tools know: the layer that
 * was reached, and how it went.
 * @module
 */

/** Kinds whose success means that layer 7 answered. */
const LAYER_7 = new Set(["http", "https", "grpc", "dns"]);

const CODES: Readonly<Record<string, string>> = {
  refused: "L4CON",
  reset: "L4CON",
  unreachable: "L4CON",
  tls: "L6RSP",
  certificate: "L6RSP",
  protocol: "L7RSP",
  body: "L7RSP",
  answer: "L7RSP",
  status: "L7STS",
  rcode: "L7STS",
  "not-serving": "L7STS",
  script: "PROCERR",
  self: "SOCKERR",
  stalled: "SOCKERR",
};

/** @param kind of the check; @param errorClass as `health/probes/probe.ts` has it; @param isConnected before it failed */
export function checkCode(kind: string, errorClass: string, isConnected: boolean): string {
  const layer = LAYER_7.has(kind) ? 7 : kind === "tls" ? 6 : 4;
  if (errorClass === "none") return kind === "script" ? "PROCOK" : `L${layer}OK`;
  if (errorClass === "timeout") return kind === "script" ? "PROCTOUT" : `L${isConnected ? layer : 4}TOUT`;
  return CODES[errorClass] ?? "SOCKERR";
}
