/**
 * Takes every n-th response of a worker, on average, for the query log.
 * @module
 */
import type { WriteSample } from "#state/query-ring.ts";
import type { Respond } from "#state/respond.ts";

/**
 * The gaps are drawn at random around their mean: a fixed step would see one client of those that ask in turn.
 *
 * @param every mean number of responses for one sample; 1: all of them, 0: none
 * @param options.random from 0 up to 1; asked once a sample
 */
export function sampleResponses(
  respond: Respond,
  every: number,
  options: { readonly write: WriteSample; readonly clock: { nowMs(): number }; readonly random: () => number },
): Respond {
  if (every === 0) return respond;
  const { write, clock, random } = options;
  const gap = (): number => 1 + Math.floor(random() * (2 * every - 1));
  let left = gap();
  return (request, length, client, out) => {
    const octets = respond(request, length, client, out);
    if (octets === 0 || --left > 0) return octets;
    left = gap();
    write(client, out, octets, clock.nowMs());
    return octets;
  };
}
