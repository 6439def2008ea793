/**
 * Moves a compiled snapshot to the ports and addresses that the demo world really has.
 * @module
 */
import type { DemoPlace } from "#app/demo-places.ts";
import type { CheckSpec, ListenAddress, Snapshot, TargetSpec } from "#state/snapshot.ts";

export type DemoPorts = {
  readonly dnsPort: number;
  readonly apiPort: number;
  readonly places: readonly DemoPlace[];
  /** False: listeners on ::1 are left out. */
  readonly hasIpv6: boolean;
};

export function reworkForDemo(snapshot: Snapshot, { dnsPort, apiPort, places, hasIpv6 }: DemoPorts): Snapshot {
  const listen = (snapshot.dns?.listen ?? [])
    .filter(({ address }) => hasIpv6 || !address.includes(":"))
    .map((one): ListenAddress => ({ ...one, port: dnsPort }));
  const placeOf = (address: string): DemoPlace | undefined => places.find((place) => place.address === address);
  const checks = new Map<string, CheckSpec>();
  const targets = snapshot.health.targets.map((target): TargetSpec => {
    if (target.kind !== "address" || target.check === undefined) return target;
    const check = snapshot.health.checks.find(({ name }) => name === target.check);
    const place = placeOf(target.address);
    if (!check || !place || !("port" in check)) return target;
    // One check per port: where regions share 127.0.0.1, each is probed at a port of its own.
    const name = place.listen === place.address ? check.name : `${check.name}@${place.region}`;
    checks.set(name, { ...check, name, port: place.port });
    return { ...target, address: place.listen, check: name };
  });
  return {
    ...snapshot,
    dns: snapshot.dns && { ...snapshot.dns, listen },
    control: snapshot.control && { ...snapshot.control, listen: { address: "127.0.0.1", port: apiPort } },
    health: { ...snapshot.health, targets, checks: [...checks.values()] },
  };
}
