/**
 * What the system says when nothing comes through to a backend → what that says of the backend.
 * @module
 */
import type { ConnectFault } from "#net/driver.ts";

const FAULTS: Readonly<Record<string, ConnectFault>> = {
  ECONNREFUSED: "refused",
  ECONNRESET: "refused",
  ETIMEDOUT: "timeout",
  EHOSTUNREACH: "unreachable",
  ENETUNREACH: "unreachable",
  EHOSTDOWN: "unreachable",
  ENETDOWN: "unreachable",
};

/** @returns undefined where it is of our own making: no descriptors left, no port */
export const connectFault = (code: string | undefined): ConnectFault | undefined => FAULTS[code ?? ""];
