/**
 * What a listener's settings mean for one connection, made ready once per configuration: connections keep the plan that
 * they were accepted under. Its pools are objects, not indices, which mean something else in the next configuration.
 * @module
 */
import { createSniRouter } from "#l4/tcp/sni-route.ts";
import { type ArrivalPlan, createArrivalPlan } from "#net/arrival.ts";
import type { ListenerContext } from "#net/listener.ts";
import type { Places } from "#pool/place.ts";
import type { ListenerSpec } from "#state/balancer.ts";

export type ListenerPlan = ArrivalPlan & {
  /** Where no name decides; undefined: such clients are refused. */
  readonly places: Places | undefined;
  /** @returns where the client is to go; undefined: it is refused */
  route(client: { readonly serverName: string | undefined; readonly alpn: readonly string[] }): Places | undefined;
};

/** @throws RhumbError RHUMB_BALANCER_CERTIFICATE */
export function createListenerPlan(
  spec: ListenerSpec,
  context: Pick<ListenerContext, "places" | "contextsOf">,
): ListenerPlan {
  const places = spec.pool === undefined ? undefined : context.places(spec.pool);
  const routed = new Map(spec.sni.map(({ pool }) => [pool, context.places(pool)]));
  const route = createSniRouter(spec.sni);
  return {
    ...createArrivalPlan(spec, context),
    places,
    route(client) {
      const pool = route(client);
      return pool === undefined ? places : routed.get(pool);
    },
  };
}
