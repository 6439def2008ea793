/**
 * Where the regions of the demo world really are: at the addresses that DNS gives, or at ports of 127.0.0.1 on systems
 * that have no other loopback address. And the configuration that each region's balancer is started with.
 * @module
 */
import { join } from "node:path";
import type { RegionSpec } from "#state/snapshot.ts";

export type DemoEndpoint = { readonly listen: string; readonly port: number };
export type DemoBackend = DemoEndpoint & { readonly name: string };
/** Where a region's address answers HTTP, and what stands behind. */
export type DemoPlace = DemoEndpoint & {
  readonly region: string;
  /** As DNS gives it. */
  readonly address: string;
  /** Where it answers HTTPS. */
  readonly tls: DemoEndpoint;
  /** The balancer's control API. */
  readonly api: DemoEndpoint;
  readonly backends: readonly DemoBackend[];
};

const HTTP_PORT = 8_080;
const HTTPS_PORT = 8_443;
const API_PORT = 8_054;
const BACKEND_PORTS = [9_001, 9_002];
/** Regions where there is but one address: ports from here on. */
const SHARED_PORT = 18_080;
/** Ports of one region there. */
const PORTS_PER_REGION = 5;

/** `127.0.11.1` → `127.0.11.11` and `127.0.11.12`. */
const backendAddress = (address: string, index: number): string => address.replace(/\.\d+$/, `.${11 + index}`);

/**
 * @param hasAll whether this machine answers for all addresses of the regions
 * @param portBase of the whole demo world: its first two ports are those of DNS and of the control API
 */
export function placeRegions(
  regions: readonly RegionSpec[],
  hasAll: boolean,
  portBase: number | undefined,
): readonly DemoPlace[] {
  return regions.map(({ id: region, v4 }, index): DemoPlace => {
    const address = v4[0]!;
    if (!hasAll) {
      const first = (portBase === undefined ? SHARED_PORT : portBase + 2) + index * PORTS_PER_REGION;
      const at = (offset: number): DemoEndpoint => ({ listen: "127.0.0.1", port: first + offset });
      const backends = BACKEND_PORTS.map((_, each) => ({ ...at(2 + each), name: String(each + 1) }));
      return { region, address, ...at(0), tls: at(4), api: at(1), backends };
    }
    const port = (standard: number, offset: number): number => (portBase === undefined ? standard : portBase + offset);
    return {
      region,
      address,
      listen: address,
      port: port(HTTP_PORT, 2),
      tls: { listen: address, port: port(HTTPS_PORT, 6) },
      api: { listen: address, port: port(API_PORT, 3) },
      backends: BACKEND_PORTS.map((standard, each) => ({
        name: String(each + 1),
        listen: backendAddress(address, each),
        port: port(standard, 4 + each),
      })),
    };
  });
}

/** rhumb.yaml of a region's balancer. @param run folder of the demo world, where the token lies */
export function balancerConfig(
  { region, listen, port, tls, api, backends }: DemoPlace,
  run: string,
  { cert, key }: { readonly cert: string; readonly key: string },
): string {
  return `# The balancer of ${region} in the demo world; written anew at each start.
version: 1
node: ${region}
control:
  listen: "${api.listen}:${api.port}"
  tokens: { ops: { token: ${JSON.stringify(`file:${join(run, "token")}`)}, role: admin } }
cluster: { state: state/ }
balancer:
  region: ${region}
  workers: 1
  listeners:
    web: { listen: "${listen}:${port}", protocol: http, pool: web }
    secure:
      listen: "${tls.listen}:${tls.port}"
      protocol: https
      certificates: [{ cert: ${JSON.stringify(cert)}, key: ${JSON.stringify(`file:${key}`)} }]
      pool: web
  pools:
    web:
      algorithm: p2c
      check: { kind: http, path: /healthz, interval: 1s, timeout: 500ms }
      backends: [${backends.map((backend) => `"${backend.listen}:${backend.port}"`).join(", ")}]
`;
}
