/**
 * Who stands where in docker-compose.yml: the part of the compose stage that is known without looking.
 *
 * Never:   asks Docker. `test/deploy/compose.test.ts` holds this page and docker-compose.yml against each other.
 * @module
 */
import type { ClientPlace, Continent, Endpoint, StageRegion } from "#drill/stage.ts";

/** Of a continent: the third number of its addresses, the name of its network, and the region that stands there. */
export const PLACES = [
  { continent: "NA", network: "na", number: 1, region: "us-east" },
  { continent: "EU", network: "eu", number: 2, region: "eu-west" },
  { continent: "AS", network: "as", number: 3, region: "ap-south" },
] as const satisfies readonly {
  readonly continent: Continent;
  readonly network: string;
  readonly number: number;
  readonly region: string;
}[];

export const DNS_NODES = [
  { name: "ns1", network: "na", dns: "1.11", api: "9.11" },
  { name: "ns2", network: "eu", dns: "2.11", api: "9.12" },
] as const;

/** Services whose processes are a region. Its host, which owns their network, stands beside them. */
export const servicesOf = (region: string): readonly string[] => [
  `lb-${region}`,
  `exabgp-${region}`,
  `backend-${region}-1`,
  `backend-${region}-2`,
];
export const routerOf = ({ network }: { readonly network: string }): string => `router-${network}`;
export const clientOf = (continent: Continent): string =>
  `client-${PLACES.find((place) => place.continent === continent)!.network}`;

export type ComposeNet = {
  /** First two numbers of all addresses: `10.66`. */
  readonly net: string;
  readonly vip: string;
  readonly capacityRps: number | undefined;
};

const WEB_PORT = 80;

export const stageRegions = ({ net, capacityRps }: ComposeNet): StageRegion[] =>
  PLACES.map(({ region, number }) => ({
    id: region,
    addresses: [`${net}.${number}.20`],
    port: WEB_PORT,
    capacityRps,
  }));

export const dnsOf = (net: string, { dns }: (typeof DNS_NODES)[number]): Endpoint => ({
  address: `${net}.${dns}`,
  port: 53,
});

/** Clients ask their continent's resolver, and reach everything at its own address: real routers lead there. */
export const clientPlaces = ({ net, vip }: ComposeNet): ClientPlace[] =>
  PLACES.map(({ continent, number }) => ({
    continent,
    network: `${net}.${number}.0/24`,
    resolvers: [{ address: `${net}.${number}.53`, port: 53 }],
    isResolver: true,
    ways: {},
    anycast: { address: vip, port: WEB_PORT },
  }));
