/** `rhumb curl` against a name server and a web server of the test's own; as a child process, the way people run it. */
import assert from "node:assert/strict";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after, before } from "node:test";
import { type Outcome, rhumb } from "./rhumb.ts";

/** What `www.demo.example` is said to be: nowhere on this machine, so only `run/demo.json` leads to it. */
const REGION = [203, 0, 113, 80];
const folder = mkdtempSync(join(tmpdir(), "rhumb-curl-"));
let dns: Socket;
let web: Server;
let dnsPort: number;
let webPort: number;
const queries: Buffer[] = [];

before(async () => {
  dns = createSocket("udp4");
  dns.on("message", (query, { address, port }) => {
    queries.push(query);
    let end = 12;
    while (query[end] !== 0) end += 1 + query[end]!;
    const isKnown = query.subarray(13, 16).toString() === "www";
    const header = Buffer.from([query[0]!, query[1]!, 0x84, isKnown ? 0 : 3, 0, 1, 0, isKnown ? 1 : 0, 0, 0, 0, 0]);
    const record = isKnown ? [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4, ...REGION] : [];
    dns.send(Buffer.concat([header, query.subarray(12, end + 5), Buffer.from(record)]), port, address);
  });
  dns.bind(0, "127.0.0.1");
  await once(dns, "listening");
  web = createServer((request, response) => {
    response.end(`${request.method} ${request.url} of ${request.headers.host}\n`);
  });
  web.listen(0, "127.0.0.1");
  await once(web, "listening");
  dnsPort = dns.address().port;
  webPort = (web.address() as AddressInfo).port;
  mkdirSync(join(folder, "run"));
  const place = { region: "eu-west", address: REGION.join("."), listen: "127.0.0.1", port: webPort };
  writeFileSync(join(folder, "run/demo.json"), JSON.stringify({ dns: dnsPort, api: "", places: [place] }));
});
after(() => {
  dns.close();
  web.close();
  rmSync(folder, { recursive: true });
});
const curl = (...words: string[]): Promise<Outcome> => rhumb(["curl", ...words], { cwd: folder });

test("curl asks the demo's name server, goes where the region listens, and prints the body", async () => {
  const { code, out, err } = await curl("http://www.demo.example/path?x=1");
  assert.equal(code, 0, err);
  assert.equal(out, "GET /path?x=1 of www.demo.example\n");
});

test("curl sends the client's network as a subnet option", async () => {
  queries.length = 0;
  const { code, err } = await curl("http://www.demo.example/", "--from", "198.51.100.0/24");
  assert.equal(code, 0, err);
  // RFC 7871 §6: option 8, length 7, family 1, source prefix 24, scope 0, three octets of address.
  const option = Buffer.from([0, 8, 0, 7, 0, 1, 24, 0, 198, 51, 100]);
  assert.ok(queries[0]!.includes(option), queries[0]!.toString("hex"));
});

test("curl keeps the URL's own port in Host, where the region's is another", async () => {
  const { code, out, err } = await curl("http://www.demo.example:8080/", "-v");
  assert.equal(code, 0, err);
  assert.equal(out, "GET / of www.demo.example:8080\n");
  assert.match(err, new RegExp(`is 203\\.0\\.113\\.80, which is 127\\.0\\.0\\.1 here, port ${webPort}`));
});

for (const { name, words, code, says } of [
  {
    name: "a name without an address",
    words: ["http://nothing.demo.example/"],
    code: 1,
    says: /NXDOMAIN without an address/,
  },
  { name: "a URL that is none", words: ["www.demo.example"], code: 2, says: /write an http:\/\/ URL/ },
  { name: "https", words: ["https://www.demo.example/"], code: 2, says: /write an http:\/\/ URL/ },
  {
    name: "a server by name",
    words: ["http://www.demo.example/", "--server", "ns1"],
    code: 2,
    says: /must be an IP address/,
  },
  { name: "a port that is none", words: ["http://www.demo.example/", "--port", "0"], code: 2, says: /--port 0/ },
]) {
  test(`curl refuses ${name}`, async () => {
    const outcome = await curl(...words);
    assert.equal(outcome.code, code, outcome.err);
    assert.match(outcome.err, says);
    assert.equal(outcome.out, "");
  });
}

test("curl says so when nobody serves at the address", async () => {
  const { port } = web.address() as AddressInfo;
  await new Promise((resolve) => web.close(resolve));
  const { code, err } = await curl("http://www.demo.example/");
  assert.equal(code, 1);
  assert.match(err, new RegExp(`127\\.0\\.0\\.1:${port}`));
});
