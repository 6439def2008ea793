/** Peers as small HTTP servers: what they say, and what the doctor makes of it. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import test, { type TestContext } from "node:test";
import { checkPeer } from "#app/doctor/check-peer.ts";

const outcome = (more: object = {}) => ({
  isAnswered: true,
  rcode: "NOERROR",
  isAuthoritative: true,
  isTruncated: false,
  answer: ["shop.example. 300 SOA ns1.shop.example. hostmaster.shop.example. 7 3600 600 604800 60"],
  rttMs: 1,
  says: "",
  ...more,
});
const SILENT = { isAnswered: false, rcode: null, answer: [], says: "no answer within 2000 ms" };
type Reply = { status?: number; body: unknown; date?: string };

/** @param replies by method and path */
async function ask(context: TestContext, replies: Record<string, Reply>) {
  const server = createServer((request, response) => {
    const { status = 200, body, date } = replies[`${request.method} ${request.url}`]!;
    if (date !== undefined) response.setHeader("date", date);
    response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  context.after(() => server.close());
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return checkPeer({
    peer: { name: "ns2", url, token: "0123456789abcdef", caFile: undefined },
    node: "ns1",
    version: "1.2.3",
    slotSeconds: 30,
    probes: [{ zone: "shop.example.", server: { name: "ns1.shop.example.", address: "192.0.2.53", port: 53 } }],
  });
}
const STATUS = { body: { node: "ns2", version: "1.2.3" } };
const PROBE = { body: { udp: outcome(), tcp: outcome() } };

for (const { name, replies, expected } of [
  {
    name: "is content with a peer that reaches us",
    replies: { "GET /status": STATUS, "POST /probe": PROBE },
    expected: [],
  },
  {
    name: "tells that the peer does not reach us over TCP",
    replies: { "GET /status": STATUS, "POST /probe": { body: { udp: outcome(), tcp: { ...outcome(), ...SILENT } } } },
    expected: [
      /problem ns1\.shop\.example\. \(192\.0\.2\.53\) as ns2 sees it answers for shop\.example\. over UDP, but not over TCP/,
    ],
  },
  {
    name: "tells that the peer refuses the token",
    replies: { "GET /status": { status: 401, body: { title: "No such token" } } },
    expected: [/problem ns2 .* refuses the token: No such token/],
  },
  {
    name: "tells that the token may look, but not probe",
    replies: { "GET /status": STATUS, "POST /probe": { status: 403, body: { title: "Needs the role operate" } } },
    expected: [/problem ns2 .* refuses the token: Needs the role operate/],
  },
  {
    name: "takes a busy peer for no problem",
    replies: { "GET /status": STATUS, "POST /probe": { status: 429, body: { title: "Too many probes" } } },
    expected: [/warning ns2 .* HTTP 429: Too many probes/],
  },
  {
    name: "tells that a peer is this node",
    replies: { "GET /status": { body: { node: "ns1", version: "1.2.3" } }, "POST /probe": PROBE },
    expected: [/problem ns2 .* is the node ns1 as well/],
  },
  {
    name: "warns of another version",
    replies: { "GET /status": { body: { node: "ns2", version: "1.2.2" } }, "POST /probe": PROBE },
    expected: [/warning ns2 .* runs rhumb 1\.2\.2, this is 1\.2\.3/],
  },
  {
    name: "tells that the peer's clock is off",
    replies: { "GET /status": { ...STATUS, date: "Thu, 01 Jan 2026 00:00:00 GMT" }, "POST /probe": PROBE },
    expected: [/problem The clock of ns2 is .* behind this node's/],
  },
] satisfies readonly { name: string; replies: Record<string, Reply>; expected: RegExp[] }[]) {
  test(`checkPeer() ${name}`, async (context) => {
    const findings = (await ask(context, replies)).filter(({ state }) => state !== "ok");
    const texts = findings.map(({ state, says }) => `${state} ${says}`);
    assert.equal(texts.length, expected.length, texts.join("\n"));
    for (const [index, pattern] of expected.entries()) assert.match(texts[index]!, pattern);
  });
}

test("checkPeer() tells that nothing answers there", async () => {
  const peer = { name: "ns2", url: "http://127.0.0.1:1", token: "0123456789abcdef", caFile: undefined };
  const findings = await checkPeer({ peer, node: "ns1", version: "1.2.3", slotSeconds: 30, probes: [] });
  assert.match(findings[0]!.says, /does not answer: refused/);
  assert.equal(findings[0]!.state, "problem");
});
