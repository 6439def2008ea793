/**
 * Which probes are the same: a check's parameters and an address, whatever the check is called. Rows of the health table
 * with equal identity share one monitor.
 * @module
 */
import { createHash } from "node:crypto";
import type { CheckSpec } from "#state/snapshot.ts";

const fingerprints = new WeakMap<CheckSpec, string>();

function fingerprint(check: CheckSpec): string {
  let text = fingerprints.get(check);
  if (text === undefined) {
    const { name: _, failback: __, ...rest } = check;
    // A script hears the name of its check (RHUMB_CHECK), so there the name is a parameter.
    const relevant = check.kind === "script" ? { ...rest, name: check.name } : rest;
    const sorted = JSON.stringify(relevant, (_key, value: unknown) =>
      typeof value === "object" && value !== null && !Array.isArray(value)
        ? Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
        : value,
    );
    text = createHash("sha256").update(sorted).digest("base64url").slice(0, 16);
    fingerprints.set(check, text);
  }
  return text;
}

/**
 * Stable across restarts and nodes: `http/<hash>/192.0.2.1`. A backend shares no monitor with a region's address: they
 * start from different first states.
 */
export const identityOf = (check: CheckSpec, target: { readonly address: string; readonly isBackend?: true }): string =>
  `${target.isBackend ? "backend/" : ""}${check.kind}/${fingerprint(check)}/${target.address}`;
