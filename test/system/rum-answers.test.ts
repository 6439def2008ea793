/**
 * From a browser to an answer: beacons come in at one node, go to the other as what it learnt, and both send clients of that
 * network elsewhere. All by processes; what is asked is answered all the time.
 */
import assert from "node:assert/strict";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { parseCidr } from "#base/ip.ts";
import { askDns } from "#cli/dns-client.ts";
import { openIdentity } from "#cluster/identity.ts";
import { parseName } from "#dns/wire/name.ts";
import { TYPE } from "#dns/wire/types.ts";
import { makeToken } from "#rum/token.ts";
import { until } from "./balancer-bed.ts";
import { apiClient, projectFolder, run, startRhumb } from "./running.ts";
import { folderWith, freePort, writeAll } from "./tools.ts";

const TOKEN = "token-of-the-beacon-bed-0001";
const KEY = "key-of-the-test-0123456789abcdef0";
const ORIGIN = "https://www.example.com";
const [NEAR, FAR] = ["192.0.2.1", "192.0.2.2"];
/** A system in Cologne, from whose five first networks beacons come, and another one there. */
const PLACES =
  "@kind city\n@type Test-City\n@built 2026-01-01T00:00:00Z\n198.18.0.0/15\tEU\tDE\t50.94\t6.96\tCologne\n";
const SYSTEMS =
  "@kind asn\n@type Test-ASN\n@built 2026-01-01T00:00:00Z\n198.18.0.0/16\t64500\tOne\n198.19.0.0/16\t64501\tOther\n";

const filesOf = (
  peer: { name: string; api: number },
  own: { name: string; api: number; dns: number },
  more: string,
) => ({
  token: TOKEN,
  "city.txt": PLACES,
  "asn.txt": SYSTEMS,
  "rhumb.yaml": `version: 1
node: ${own.name}
control:
  listen: "127.0.0.1:${own.api}"
  tokens: { ops: { token: "file:token", role: admin } }
  peers: { ${peer.name}: { url: "http://127.0.0.1:${peer.api}", token: "file:token" } }
dns: { listen: ["127.0.0.1:${own.dns}"], workers: 1 }
zones: zones/
geo: { database: city.mmdb, asn: asn.mmdb, regions: regions.yaml }
${more}`,
  "regions.yaml": `near: { at: [50.1, 8.7], v4: [${NEAR}], v6: [] }\nfar: { at: [53.35, -6.26], v4: [${FAR}], v6: [] }\n`,
  "zones/services.yaml": "www: { regions: [near, far], steer: latency, ttl: { min: 1s, max: 5s } }\n",
  "zones/test.example.zone": `$ORIGIN test.example.
@ 60 SOA ns1 hostmaster 1 3600 600 86400 60
@ 60 NS ns1
ns1 60 A 192.0.2.53
www 5 STEER www
`,
});

async function startNodes(t: TestContext) {
  const nodes = await Promise.all(
    ["ns1", "ns2"].map(async (name) => ({
      name,
      dns: await freePort(),
      api: await freePort(),
      folder: folderWith(t, { token: TOKEN }),
    })),
  );
  const keys = nodes.map(({ name, folder }) => {
    return `    ${name}: { key: "${openIdentity(join(folder, "state")).publicKey}" }`;
  });
  const rumPort = await freePort();
  for (const [index, node] of nodes.entries()) {
    const rum = `rum: { listen: "127.0.0.1:${rumPort}", origins: ["${ORIGIN}"], key: "file:rum-key", proxies: ["127.0.0.0/8"], rate: { network: 100rps } }\n`;
    const more = `cluster:\n  state: state/\n  nodes:\n${keys.join("\n")}\n${index === 0 ? rum : ""}`;
    writeAll(node.folder, { ...filesOf(nodes[1 - index]!, node, more), "rum-key": KEY });
    for (const name of ["city", "asn"]) {
      const words = [join(projectFolder, "bin/rhumb"), "geo", "build", `${name}.txt`, "-o", `${name}.mmdb`];
      const { code, err } = await run(process.execPath, words, { cwd: node.folder });
      assert.equal(code, 0, err);
    }
    await startRhumb(t, ["start", "-c", "rhumb.yaml"], node.folder).printed(/serves DNS on/);
  }
  return { nodes, rumPort };
}

test("what pages say of a network at one node changes the answers of all nodes for it, and of no other", {
  timeout: 240_000,
}, async (t) => {
  const { nodes, rumPort } = await startNodes(t);
  const answer = async (port: number, client: string): Promise<string> => {
    const { response } = await askDns({
      address: "127.0.0.1",
      port,
      name: parseName("www.test.example") as Uint8Array,
      type: TYPE.A,
      subnet: parseCidr(client)!,
      isTcp: false,
      timeoutMs: 2_000,
    });
    return response.answer.map(({ rdata }) => rdata).join(" ");
  };
  // No beacon comes from this network itself.
  const [same, other] = ["198.18.99.0/24", "198.19.99.0/24"];
  for (const { dns } of nodes) for (const client of [same, other]) assert.equal(await answer(dns, client), NEAR);

  for (let network = 0; network < 5; network++)
    for (let time = 0; time < 5; time++) {
      const token = makeToken({ regions: ["near", "far"], atMs: Date.now(), nonce: `${network}-${time}` }, KEY);
      const measurements = [
        { region: "near", ms: 60 },
        { region: "far", ms: 10 },
      ];
      const { status } = await fetch(`http://127.0.0.1:${rumPort}/rum`, {
        method: "POST",
        body: JSON.stringify({ token, measurements }),
        headers: { origin: ORIGIN, "x-forwarded-for": `198.18.${network}.7` },
      });
      assert.equal(status, 204);
    }

  const beacons = await apiClient(`http://127.0.0.1:${nodes[0]!.api}`, TOKEN)("GET", "/rum");
  const { learned, ...counts } = beacons.json<{
    beacons: Record<string, number>;
    voices: number;
    learned: unknown[];
  }>();
  assert.equal(counts.beacons["taken"], 25);
  assert.equal(counts.voices, 10);
  assert.deepEqual(learned, [
    { network: "AS64500-DE", region: "near", rttMs: 60, samples: 25 },
    { network: "AS64500-DE", region: "far", rttMs: 10, samples: 25 },
  ]);

  // Once a minute a node tells what it learnt, and makes its map of what all have.
  for (const { name, dns, api } of nodes) {
    const said = await until(
      () => answer(dns, same),
      (address) => address !== NEAR,
      t,
    );
    assert.equal(said, FAR, `${name} gives what pages are faster to`);
    assert.equal(await answer(dns, other), NEAR, `${name} says nothing new to others`);
    const explain = await apiClient(`http://127.0.0.1:${api}`, TOKEN)(
      "GET",
      `/explain?name=www.test.example&type=A&from=${same}`,
    );
    assert.match(explain.text, /by distance and what pages say/, name);
  }
});
