/**
 * Which service would be left without any region if an operator took these out.
 * @module
 */
import type { Snapshot } from "#state/snapshot.ts";

/**
 * @param isOut whether the region with this row of the health table would be out of service
 * @returns a service's name; undefined when each keeps a region, or has a fallback that does
 */
export function wouldEmpty(snapshot: Snapshot, isOut: (target: number) => boolean): string | undefined {
  const services = new Map(snapshot.services.map((service) => [service.name, service]));
  const isEmpty = (name: string, depth: number): boolean => {
    const service = services.get(name);
    if (!service || depth > services.size) return true;
    if (service.regions.some(({ region }) => !isOut(snapshot.regions[region]!.target))) return false;
    return service.fallback === undefined || isEmpty(service.fallback, depth + 1);
  };
  return snapshot.services.find(({ name }) => isEmpty(name, 0))?.name;
}
