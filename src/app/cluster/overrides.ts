/**
 * Overrides between nodes: what one node's API is told is a record, and all nodes do what the newest record of a target says.
 * @module
 */
import type { Clock } from "#base/clock.ts";
import type { Health } from "#health/engine.ts";
import type { Shared } from "#state/shared.ts";
import { type OverrideSpec, UNTIL_CLEARED_MS } from "#state/snapshot.ts";

const TOMBSTONE_TTL_MS = 86_400_000;

/** To be called once the first configuration serves: what the store still had from before is shared then. */
export function joinOverrides(options: {
  readonly shared: Pick<Shared, "publish" | "records" | "onRecord">;
  readonly health: Pick<Health, "listOverrides" | "setSharedOverrides" | "onOverride">;
  readonly clock: Clock;
}): { close(): void } {
  const { shared, health, clock } = options;
  function publish(target: string, spec: OverrideSpec | null): void {
    if (spec === null) shared.publish("override", target, { spec }, TOMBSTONE_TTL_MS);
    else {
      const { id, verb, weightPercent, reason, owner, createdAtMs, untilMs, origin } = spec;
      const whole = { id, target, verb, weightPercent, reason, owner, createdAtMs, untilMs, origin };
      const ttlMs = untilMs === UNTIL_CLEARED_MS ? Number.MAX_SAFE_INTEGER : untilMs - clock.nowMs();
      shared.publish("override", target, { spec: whole }, ttlMs);
    }
  }
  const take = (): void =>
    health.setSharedOverrides(
      shared.records("override").map(({ key, version, body }) => ({ target: key, spec: body.spec, version })),
    );
  const known = new Set(shared.records("override").map(({ key }) => key));
  shared.onRecord("override", take);
  take();
  for (const { matches: _, untilMs, ...spec } of health.listOverrides()) {
    const isOver = untilMs !== null && untilMs <= clock.nowMs();
    if (spec.origin !== "api" || known.has(spec.target) || isOver) continue;
    publish(spec.target, { ...spec, untilMs: untilMs ?? UNTIL_CLEARED_MS });
  }
  return { close: health.onOverride(publish) };
}
