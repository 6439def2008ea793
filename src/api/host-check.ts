/**
 * Host and Origin: a web page of somebody else must not reach this API through a visitor's browser (DNS rebinding,
 * cross-site requests). An IP address in Host cannot be rebound; a name must be `localhost` or in our certificate.
 * @module
 */
import type { X509Certificate } from "node:crypto";
import { isIP } from "node:net";

/** @param host the Host header, or `:authority` @returns host without port and brackets, or undefined when malformed */
function hostName(host: string): string | undefined {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([A-Za-z0-9._-]+))(?::[0-9]{1,5})?$/.exec(host);
  return match ? (match[1] ?? match[2])!.toLowerCase() : undefined;
}

export function isOwnHost(host: string | undefined, certificate: X509Certificate | undefined): boolean {
  const name = host === undefined ? undefined : hostName(host);
  if (name === undefined) return false;
  return isIP(name) !== 0 || name === "localhost" || certificate?.checkHost(name) !== undefined;
}

/** No Origin: not a browser's cross-site request. `null` and every other site are refused. */
export const isOwnOrigin = (origin: string | undefined, host: string, isTls: boolean): boolean =>
  origin === undefined || origin.toLowerCase() === `${isTls ? "https" : "http"}://${host.toLowerCase()}`;
