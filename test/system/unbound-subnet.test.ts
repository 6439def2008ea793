/**
 * Unbound with its subnet cache in front: every client network gets what a direct query gives, whatever the order in
 * which the networks ask (RFC 7871 §7.3). A scope that is too short would show: an earlier client's answer would be
 * given to a later one from another network.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { createLog } from "#app/create-log.ts";
import { startNode } from "#app/node.ts";
import { parseCidr } from "#base/ip.ts";
import { createSeededRng } from "#base/rng.ts";
import { askDns } from "#cli/dns-client.ts";
import { parseName } from "#dns/wire/name.ts";
import { TYPE } from "#dns/wire/types.ts";
import { folderWith, freePort, startDaemon, without } from "./tools.ts";

const ORDERS = 12;
const DEMO_DATABASE = new URL("../../geo-data/demo.mmdb", import.meta.url).pathname;

/** Networks that nest, touch, and lie far apart; IPv4 and IPv6; with overrides inside what the database has. */
const CLIENTS = [
  "10.2.3.0/24",
  "10.1.3.0/24",
  "10.1.4.0/24",
  "10.1.0.0/24",
  "10.255.255.0/24",
  "11.0.0.0/24",
  "192.0.2.0/24",
  "198.51.100.0/24",
  "203.0.113.0/24",
  "198.18.0.0/24",
  "198.18.77.0/24",
  "198.19.200.0/24",
  "8.8.8.0/24",
  "2001:db8:1::/48",
  "2001:db8:2::/48",
  "2001:db8:2:ff00::/56",
  "2001:db8:ffff::/48",
  "2a00::/48",
];

const FILES = (port: number) => ({
  "rhumb.yaml": `version: 1
node: ns1
dns: { listen: ["127.0.0.1:${port}"], workers: 1, rrl: { enabled: false } }
zones: zones/
geo: { database: ${DEMO_DATABASE}, regions: geo-data/regions.yaml, overrides: geo-data/overrides.yaml }
health: { checks: health/ }
`,
  "geo-data/regions.yaml": `
us: { at: [39, -77], continent: NA, country: US, v4: [192.0.2.1], v6: ["2001:db8:a::1"] }
eu: { at: [53, -6], continent: EU, country: IE, v4: [192.0.2.2], v6: ["2001:db8:b::1"] }
as: { at: [19, 72], continent: AS, country: IN, v4: [192.0.2.3], v6: ["2001:db8:c::1"] }
`,
  "geo-data/overrides.yaml": `
- { network: 10.0.0.0/8, regions: [us] }
- { network: 10.1.0.0/16, regions: [eu] }
- { network: 10.1.3.0/24, regions: [as] }
- { network: "2001:db8:2::/48", regions: [as] }
`,
  "zones/services.yaml": `
near: { regions: [us, eu, as], steer: geo, ttl: { min: 600s, max: 1200s } }
stuck: { regions: [us, eu, as], steer: [healthy, sticky, { first: 1 }], ttl: { min: 600s, max: 1200s } }
`,
  // A wildcard gives each order of queries a name of its own, which no cache has seen.
  "zones/x.example.zone": `$TTL 600
@ SOA ns h 1 3600 600 604800 60
@ NS ns
ns A 127.0.0.1
*.near STEER near
*.stuck STEER stuck
`,
  "health/none.yaml": "kind: tcp\nport: 1\n",
});

const unboundConfig = (port: number, upstream: number): string => `server:
  interface: 127.0.0.1@${port}
  module-config: "subnetcache iterator"
  qname-minimisation: no
  do-daemonize: no
  username: ""
  chroot: ""
  directory: "/"
  pidfile: ""
  use-syslog: no
  logfile: ""
  verbosity: 1
  do-not-query-localhost: no
  access-control: 127.0.0.0/8 allow
  send-client-subnet: 127.0.0.1
  client-subnet-always-forward: yes
  max-client-subnet-ipv4: 24
  max-client-subnet-ipv6: 56
stub-zone:
  name: "x.example"
  stub-addr: 127.0.0.1@${upstream}
remote-control:
  control-enable: no
`;

test("a caching resolver gives each network what a direct query gives, in any order", {
  skip: without("unbound"),
}, async (context) => {
  const ours = await freePort();
  const folder = folderWith(context, FILES(ours));
  const node = await startNode({
    config: `${folder}/rhumb.yaml`,
    version: "test",
    log: createLog({ level: "error", format: "text" }),
  });
  context.after(() => node.close());
  const theirs = await freePort();
  const config = `${folderWith(context, { "unbound.conf": unboundConfig(theirs, ours) })}/unbound.conf`;
  await startDaemon(context, ["unbound", "-d", "-c", config], /start of service/);

  const ask = async (port: number, name: string, client: string, type: number): Promise<string> => {
    const subnet = parseCidr(client)!;
    const wireName = parseName(name) as Uint8Array;
    const asked = {
      address: "127.0.0.1",
      port,
      name: wireName,
      type,
      subnet,
      isTcp: false,
      isRecursive: true,
      timeoutMs: 5_000,
    };
    const { response } = await askDns(asked);
    assert.equal(response.rcode, "NOERROR", `${name} from ${client}`);
    return response.answer.map(({ rdata }) => rdata).join(" ");
  };

  const rng = createSeededRng(4);
  const seen = new Set<string>();
  for (let order = 0; order < ORDERS; order++) {
    const clients = CLIENTS.map((client) => ({ client, at: rng() }))
      .sort((a, b) => a.at - b.at)
      .map(({ client }) => client);
    for (const [service, type] of [
      ["near", TYPE.A],
      ["near", TYPE.AAAA],
      ["stuck", TYPE.A],
    ] as const) {
      const name = `order${order}-${type}.${service}.x.example`;
      // Twice through the cache: the second round finds all that the first one left there.
      for (const client of [...clients, ...clients.toReversed()]) {
        const direct = await ask(ours, name, client, type);
        assert.equal(
          await ask(theirs, name, client, type),
          direct,
          `${name} for ${client}, order ${clients.join(" ")}`,
        );
        seen.add(`${service} ${direct}`);
      }
    }
  }
  assert.equal([...seen].filter((answer) => answer.startsWith("near")).length, 6, "all three regions in both families");
  // That the cache was at work: the second time each network asks, nothing comes to us.
  const asked = ORDERS * 3 * 2 * CLIENTS.length;
  const received = node.parts.dns.stats().counters.queries_udp;
  assert.ok(received <= asked * 1.5, `${received} queries came to us for ${asked} direct ones`);
});
