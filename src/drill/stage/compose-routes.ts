/**
 * What a router of the compose stage says of the anycast address. BIRD 2: `show route for ADDRESS all`.
 * @module
 */
import { PLACES } from "#drill/stage/compose-layout.ts";
import type { RouteNow } from "#drill/stage.ts";

/** Routes carry 65010:10N, N being the number of the place: it tells the region, however many routers lie between. */
const MARK = /\(65010,10([0-9])\)/;

/**
 * @param text the routes to one prefix, best first; each begins with `unicast`
 * @returns the region of the best route and its AS path; no region: the router has no route
 */
export function readRoute(router: string, text: string): RouteNow {
  const best = text.split(/\bunicast\b/)[1] ?? "";
  const number = Number(MARK.exec(best)?.[1]);
  const region = PLACES.find((place) => place.number === number)?.region ?? null;
  return { router, region, path: /BGP\.as_path:([ 0-9]*)/.exec(best)?.[1]?.trim() ?? "" };
}
