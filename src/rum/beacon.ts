/**
 * One beacon: octets of a request → what it says, or which fault it has. Pure.
 *
 * Shape:   `{ "token": "v1.…", "measurements": [{ "region": "eu-west", "ms": 23.4 }] }`, at most 1 KiB.
 * @module
 */
import { MAX_REGIONS } from "#rum/token.ts";

export const MAX_BEACON_OCTETS = 1_024;
/** Beyond this it was no round trip; a page measures the fastest of several. */
const MAX_MS = 5_000;

export type Beacon = {
  readonly token: string;
  readonly measurements: readonly { readonly region: string; readonly ms: number }[];
};

/** @returns undefined where it is no beacon */
export function readBeacon(body: Buffer): Beacon | undefined {
  if (body.length === 0 || body.length > MAX_BEACON_OCTETS) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(body.toString());
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null) return undefined;
  const { token, measurements } = value as Record<string, unknown>;
  if (typeof token !== "string" || !Array.isArray(measurements)) return undefined;
  if (measurements.length === 0 || measurements.length > MAX_REGIONS) return undefined;
  const isGood = measurements.every(
    (one: unknown) =>
      typeof one === "object" &&
      one !== null &&
      typeof (one as { region?: unknown }).region === "string" &&
      typeof (one as { ms?: unknown }).ms === "number" &&
      (one as { ms: number }).ms > 0 &&
      (one as { ms: number }).ms <= MAX_MS,
  );
  return isGood ? { token, measurements: measurements as Beacon["measurements"] } : undefined;
}
