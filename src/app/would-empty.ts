/**
 * Which service would be left without any region that is up if an operator took these out.
 * @module
 */
import type { Snapshot } from "#state/snapshot.ts";

type IsOut = (target: number) => boolean;

/**
 * @param isOut whether the region with this row of the health table would be out of service
 * @param isOutNow whether it is so already: who has nothing to lose is not asked
 * @returns a service's name; undefined when each keeps a region, or has a fallback that does
 */
export function wouldEmpty(snapshot: Snapshot, isOut: IsOut, isOutNow: IsOut): string | undefined {
  const services = new Map(snapshot.services.map((service) => [service.name, service]));
  const isEmpty = (name: string, depth: number, isGone: IsOut): boolean => {
    const service = services.get(name);
    if (!service || depth > services.size) return true;
    if (service.regions.some(({ region }) => !isGone(snapshot.regions[region]!.target))) return false;
    return service.fallback === undefined || isEmpty(service.fallback, depth + 1, isGone);
  };
  return snapshot.services.find(({ name }) => isEmpty(name, 0, isOut) && !isEmpty(name, 0, isOutNow))?.name;
}
