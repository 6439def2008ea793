/** The PROXY protocol with the real HAProxy: what it sends we understand, what we write it takes. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { connect as connectTls } from "node:tls";
import { type ProxyHeaderToWrite, parseProxyHeader, writeProxyHeader } from "#pool/proxy-protocol/codec.ts";
import { type ProxyHeader, SSL_CLIENT } from "#pool/proxy-protocol/header.ts";
import { findTool, folderWith, freePort, startDaemon, without } from "./tools.ts";

const skip = without("haproxy", "openssl");

const TIMEOUTS = "timeout connect 5s\n timeout client 5s\n timeout server 5s";

async function startHaproxy(context: TestContext, folder: string, sections: string): Promise<void> {
  const file = join(folder, "haproxy.cfg");
  writeFileSync(file, `defaults\n ${TIMEOUTS}\n${sections}\n`);
  await startDaemon(context, ["haproxy", "-W", "-db", "-f", file], /Loading success/);
}

/** Takes connections and gives the header that each begins with, and what follows it. */
async function takeHeaders(context: TestContext) {
  const taken: { header: ProxyHeader; rest: string }[] = [];
  let told = Promise.withResolvers<void>();
  const server = createServer((socket) => {
    let octets = Buffer.alloc(0);
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => {
      octets = Buffer.concat([octets, chunk]);
      const header = parseProxyHeader(octets);
      assert.notEqual(header.kind, "bad", octets.toString("hex"));
      if (header.kind !== "header" || octets.length < header.length + "hello".length) return;
      taken.push({ header, rest: octets.subarray(header.length).toString() });
      told.resolve();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  context.after(() => void server.close());
  return {
    port: (server.address() as AddressInfo).port,
    async next() {
      await told.promise;
      told = Promise.withResolvers<void>();
      return taken.shift()!;
    },
  };
}

for (const { name, option, version } of [
  { name: "send-proxy", option: "send-proxy", version: 1 },
  { name: "send-proxy-v2", option: "send-proxy-v2", version: 2 },
  { name: "send-proxy-v2 with checksum", option: "send-proxy-v2 proxy-v2-options crc32c,unique-id", version: 2 },
])
  test(`parseProxyHeader() understands HAProxy's ${name}`, { skip }, async (context) => {
    const headers = await takeHeaders(context);
    const port = await freePort();
    await startHaproxy(
      context,
      folderWith(context, {}),
      `listen l
 mode tcp
 unique-id-format id-%pid-%rt
 bind 127.0.0.1:${port}
 server s 127.0.0.1:${headers.port} ${option}`,
    );
    const client = connect(port, "127.0.0.1");
    context.after(() => void client.destroy());
    await once(client, "connect");
    client.write("hello");
    const { header, rest } = await headers.next();
    assert.equal(rest, "hello");
    assert.deepEqual([header.version, header.command], [version, "proxy"]);
    assert.deepEqual(header.source, { address: "127.0.0.1", port: client.localPort });
    assert.deepEqual(header.destination, { address: "127.0.0.1", port });
    if (option.includes("unique-id")) assert.match(Buffer.from(header.tlvs.uniqueId!).toString(), /^id-\d+-\d+$/);
  });

test("parseProxyHeader() understands what HAProxy says of TLS", { skip }, async (context) => {
  const folder = folderWith(context, {});
  const made = spawnSync(
    findTool("openssl") ?? "openssl",
    // biome-ignore format: one line is one command
    ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=client.example",
      "-keyout", join(folder, "key.pem"), "-out", join(folder, "cert.pem")],
  );
  assert.equal(made.status, 0, made.stderr.toString());
  const [key, cert] = ["key.pem", "cert.pem"].map((file) => readFileSync(join(folder, file), "utf8"));
  writeFileSync(join(folder, "both.pem"), `${cert}${key}`);
  const headers = await takeHeaders(context);
  const port = await freePort();
  await startHaproxy(
    context,
    folder,
    `listen l
 mode tcp
 bind 127.0.0.1:${port} ssl crt ${join(folder, "both.pem")} ca-file ${join(folder, "cert.pem")} verify optional alpn h2,http/1.1
 server s 127.0.0.1:${headers.port} send-proxy-v2-ssl-cn proxy-v2-options ssl,cert-cn,ssl-cipher,cert-sig,cert-key,authority,crc32c`,
  );
  const client = connectTls({
    port,
    host: "127.0.0.1",
    servername: "www.demo.example",
    ALPNProtocols: ["h2"],
    rejectUnauthorized: false,
    key,
    cert,
  });
  context.after(() => void client.destroy());
  await once(client, "secureConnect");
  client.write("hello");
  const { tlvs } = (await headers.next()).header;
  assert.equal(tlvs.authority, "www.demo.example");
  const { client: bits, verify, version, commonName, cipher, signatureAlgorithm, keyAlgorithm } = tlvs.ssl!;
  assert.equal(bits & SSL_CLIENT.ssl, SSL_CLIENT.ssl);
  assert.ok(bits & SSL_CLIENT.certificateOfConnection);
  assert.deepEqual([verify, version, commonName], [0, "TLSv1.3", "client.example"]);
  assert.equal(cipher, client.getCipher().name);
  assert.deepEqual([signatureAlgorithm, keyAlgorithm], ["RSA-SHA256", "RSA2048"]);
});

test("HAProxy takes what writeProxyHeader() writes", { skip }, async (context) => {
  const port = await freePort();
  await startHaproxy(
    context,
    folderWith(context, {}),
    `frontend f
 mode http
 bind 127.0.0.1:${port} accept-proxy
 http-request return status 200 content-type text/plain lf-string "%[src] %[src_port] %[dst] %[dst_port] [%[fc_pp_authority]] [%[fc_pp_unique_id]]"`,
  );
  const ask = async (head: Uint8Array): Promise<string> => {
    const socket: Socket = connect(port, "127.0.0.1");
    socket.on("error", () => {});
    socket.write(head);
    socket.write("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk.toString();
    });
    await new Promise((resolve) => socket.once("close", resolve)); // by a reset, where the header is refused
    return text.split("\r\n\r\n")[1] ?? "";
  };
  const source = { address: "192.0.2.7", port: 50_123 };
  const destination = { address: "198.51.100.1", port: 443 };
  const [source6, destination6] = [
    { address: "2001:db8::7", port: 50_123 },
    { address: "2001:db8::1", port: 443 },
  ];
  const tlvs = { authority: "www.demo.example", uniqueId: Buffer.from("id-1") };
  const cases: { header: ProxyHeaderToWrite; says: string | RegExp }[] = [
    { header: { version: 1, command: "proxy", source, destination }, says: "192.0.2.7 50123 198.51.100.1 443 [] []" },
    {
      header: { version: 1, command: "proxy", source: source6, destination: destination6 },
      says: "2001:db8::7 50123 2001:db8::1 443 [] []",
    },
    { header: { version: 1, command: "local" }, says: /^127\.0\.0\.1 / },
    { header: { version: 2, command: "proxy", source, destination }, says: "192.0.2.7 50123 198.51.100.1 443 [] []" },
    {
      header: { version: 2, command: "proxy", source: source6, destination: destination6, crc32c: true },
      says: "2001:db8::7 50123 2001:db8::1 443 [] []",
    },
    {
      header: { version: 2, command: "proxy", source, destination, tlvs, crc32c: true },
      says: "192.0.2.7 50123 198.51.100.1 443 [www.demo.example] [id-1]",
    },
    { header: { version: 2, command: "local" }, says: /^127\.0\.0\.1 / },
  ];
  for (const { header, says } of cases) {
    const answer = await ask(writeProxyHeader(header));
    if (typeof says === "string") assert.equal(answer, says, JSON.stringify(header));
    else assert.match(answer, says, JSON.stringify(header));
  }
  const spoiled = writeProxyHeader({ version: 2, command: "proxy", source, destination, tlvs, crc32c: true });
  spoiled[spoiled.length - 1]! ^= 1;
  assert.equal(await ask(spoiled), "", "HAProxy checks the checksum as well");
});
