/**
 * Measures of anycast: where routers lead, and when clients of the anycast address are served elsewhere. Pure.
 * @module
 */
import { withdrawnRegion } from "#drill/actions.ts";
import { type Collected, faultsOf, lastAt, type Sample, sampleOf } from "#drill/collected.ts";

const routeFaults = (collected: Collected) =>
  faultsOf(collected).flatMap((fault) => {
    const region = withdrawnRegion(fault.step);
    return region === undefined ? [] : [{ fault, region }];
  });

export function bgpConvergence(collected: Collected): Sample[] {
  const routers = [...Map.groupBy(collected.routes, ({ router }) => router)];
  return routeFaults(collected).flatMap(({ fault, region }) =>
    routers
      .filter(([, routes]) => lastAt(routes, fault.atMs)?.region === region)
      .map(([router, routes]) => {
        // A router without any route leads nowhere: that is not there yet.
        const elsewhere = routes.find(
          (route) => route.atMs > fault.atMs && route.region !== null && route.region !== region,
        );
        return sampleOf(`${fault.says} at ${router}`, fault, elsewhere?.atMs);
      }),
  );
}

export function anycastFailover(collected: Collected): Sample[] {
  const marks = collected.marks.filter((mark) => mark.kind === "anycast");
  const clients = [...Map.groupBy(marks, ({ continent }) => continent)];
  return routeFaults(collected).flatMap(({ fault, region }) =>
    clients
      .filter(
        ([, list]) =>
          lastAt(
            list.filter(({ isOk }) => isOk),
            fault.atMs,
          )?.region === region,
      )
      .map(([continent, list]) => {
        const elsewhere = list.find((mark) => mark.atMs > fault.atMs && mark.isOk && mark.region !== region);
        return sampleOf(`${fault.says} for ${continent}`, fault, elsewhere?.atMs);
      }),
  );
}
