/** TLS and UDP through a whole balancer, over reloads: names, certificates, and sessions that go on. */
import assert from "node:assert/strict";
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { connect, createServer, type TLSSocket } from "node:tls";
import { makeCertificate } from "../tls/certificates.ts";
import {
  allHealthy,
  type BalancerBed,
  type BedConfig,
  CHECK,
  configHead,
  lineClient,
  startBackend,
  startBalancer,
} from "./balancer-bed.ts";
import { without } from "./tools.ts";

const OPTIONS = { timeout: 60_000, skip: without("openssl") };
const ENGINES = ["epoll", "net"] as const;

type Pools = Readonly<Record<string, readonly { readonly port: number }[]>>;
const configOf =
  (engine: string, listener: string, pools: Pools, check = CHECK): BedConfig =>
  ({ port, apiPort }) =>
    `${configHead(apiPort)}balancer:
  region: here
  workers: 2
  engine: ${engine}
  listeners:
    in: { listen: "127.0.0.1:${port}", ${listener} }
  pools:
${Object.entries(pools)
  .map(
    ([name, backends]) =>
      `    ${name}: { algorithm: round_robin, check: ${check}, backends: [${backends.map(({ port: at }) => `"127.0.0.1:${at}"`).join(", ")}] }`,
  )
  .join("\n")}
`;

/** The configuration of a bed, to change it later. */
async function startWith(t: TestContext, config: BedConfig): Promise<{ bed: BalancerBed; text: string }> {
  let text = "";
  const bed = await startBalancer(t, (facts) => {
    text = config(facts);
    return text;
  });
  return { bed, text };
}

async function dialTls(t: TestContext, port: number, servername: string) {
  const socket: TLSSocket = connect({ port, host: "127.0.0.1", servername, rejectUnauthorized: false });
  t.after(() => socket.destroy());
  const client = await lineClient(socket, "secureConnect");
  return { ...client, name: socket.getPeerCertificate().subject.CN };
}

/** A server that ends TLS by itself, and answers lines with its name. */
async function startTlsBackend(t: TestContext, name: string): Promise<{ port: number }> {
  const { cert, key } = makeCertificate(name);
  const server = createServer({ cert, key }, (socket) => {
    socket.on("error", () => {});
    socket.setEncoding("utf8").on("data", (text: string) => socket.write(`${name} ${text}`));
  });
  server.on("tlsClientError", () => {}); // probes connect and go
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return { port: (server.address() as AddressInfo).port };
}

for (const engine of ENGINES)
  test(
    `TLS is passed through to the pool of its name, and a reload moves names for new connections (${engine})`,
    OPTIONS,
    async (t) => {
      const [a, b] = await Promise.all([startTlsBackend(t, "a.test"), startTlsBackend(t, "b.test")]);
      const routes = '"a.test": a, "*.b.test": b, "b.test": b';
      const { bed, text } = await startWith(
        t,
        configOf(engine, `protocol: tls-passthrough, sni: { ${routes} }`, { a: [a], b: [b] }),
      );
      await allHealthy(bed, t);
      const live = await dialTls(t, bed.port, "a.test");
      assert.deepEqual([live.name, await live.ask("1")], ["a.test", "a.test 1"]);
      for (const name of ["b.test", "www.b.test", "B.TEST"])
        assert.equal((await dialTls(t, bed.port, name)).name, "b.test");
      await assert.rejects(dialTls(t, bed.port, "c.test"));
      await bed.reload(text.replace('"a.test": a', '"a.test": b, "c.test": a'));
      assert.equal((await dialTls(t, bed.port, "a.test")).name, "b.test");
      assert.equal((await dialTls(t, bed.port, "c.test")).name, "a.test");
      assert.equal(await live.ask("2"), "a.test 2");
    },
  );

test("TLS is ended here; a reload brings another certificate, and connections that live stay", OPTIONS, async (t) => {
  const backend = await startBackend(t, "a");
  const write = (folder: string, file: string, name: string): void => {
    const { cert, key } = makeCertificate(name);
    writeFileSync(join(folder, `${file}.pem`), cert);
    writeFileSync(join(folder, `${file}.key`), key);
  };
  const tls = (files: readonly string[]): string =>
    `protocol: tls, pool: web, certificates: [${files.map((file) => `{ cert: ${file}.pem, key: ${file}.key }`).join(", ")}]`;
  // It starts without TLS: its folder is not there before it.
  const { bed, text } = await startWith(t, configOf("auto", "protocol: tcp, pool: web", { web: [backend] }));
  await allHealthy(bed, t);
  write(bed.folder, "one", "one.test");
  await bed.reload(text.replace("protocol: tcp, pool: web", tls(["one"])));
  const live = await dialTls(t, bed.port, "one.test");
  assert.deepEqual([live.name, await live.ask("1")], ["one.test", "a 1"]);

  // The same file with another certificate in it.
  write(bed.folder, "one", "one-renewed.test");
  await bed.json("POST", "/config/reload", {});
  const renewed = await dialTls(t, bed.port, "one.test");
  assert.deepEqual([renewed.name, await renewed.ask("1")], ["one-renewed.test", "a 1"]);
  assert.equal(await live.ask("2"), "a 2");

  // One more, by its name.
  write(bed.folder, "two", "two.test");
  await bed.reload(text.replace("protocol: tcp, pool: web", tls(["one", "two"])));
  assert.equal((await dialTls(t, bed.port, "two.test")).name, "two.test");
  assert.equal((await dialTls(t, bed.port, "else.test")).name, "one-renewed.test");

  // What is no certificate is refused, and all goes on.
  writeFileSync(join(bed.folder, "one.pem"), "no certificate");
  assert.equal((await bed.api("POST", "/config/reload", {})).status, 422);
  assert.equal((await dialTls(t, bed.port, "one.test")).name, "one-renewed.test");
  assert.equal(await live.ask("3"), "a 3");
  assert.equal(await renewed.ask("3"), "a 3");
});

/** Answers each datagram with its name. */
async function startUdpBackend(t: TestContext, name: string): Promise<{ port: number; peers: ReadonlySet<number> }> {
  const socket = createSocket("udp4");
  const peers = new Set<number>();
  socket.on("message", (message, { port, address }) => {
    peers.add(port);
    socket.send(`${name} ${message}`, port, address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  t.after(() => socket.close());
  return { port: socket.address().port, peers };
}
/** Asks until it is answered: a datagram may be lost while a listener changes hands. */
async function askUdp(socket: UdpSocket, port: number, says: string): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  const hear = (message: Buffer): void => {
    if (message.toString().endsWith(` ${says}`)) resolve(message.toString());
  };
  socket.on("message", hear);
  const ask = (): void => socket.send(says, port, "127.0.0.1");
  const asking = setInterval(ask, 1_000);
  ask();
  const answer = await promise;
  clearInterval(asking);
  socket.off("message", hear);
  return answer;
}

test("UDP sessions stay at their backend over reloads, and new ones go to what is new", OPTIONS, async (t) => {
  const [a, b, c] = await Promise.all(["a", "b", "c"].map((name) => startUdpBackend(t, name)));
  const udp = "protocol: udp, pool: game, udp: { idle: 60s }";
  const { bed, text } = await startWith(t, configOf("auto", udp, { game: [a!, b!] }, "none"));
  const open = (): UdpSocket => {
    const socket = createSocket("udp4");
    t.after(() => socket.close());
    return socket;
  };
  const clients = Array.from({ length: 8 }, open);
  const homes = await Promise.all(clients.map((socket) => askUdp(socket, bed.port, "1")));
  assert.deepEqual([...new Set(homes)].sort(), ["a 1", "b 1"]);
  for (const round of ["2", "3"]) {
    // A backend less, one more; then another algorithm.
    await bed.reload(
      text
        .replace(`"127.0.0.1:${a!.port}"`, `"127.0.0.1:${c!.port}"`)
        .replace("round_robin", round === "3" ? "random" : "round_robin"),
    );
    const again = await Promise.all(clients.map((socket) => askUdp(socket, bed.port, round)));
    assert.deepEqual(
      again,
      homes.map((home) => `${home[0]} ${round}`),
    );
  }
  const fresh = await Promise.all(Array.from({ length: 12 }, () => askUdp(open(), bed.port, "4")));
  assert.deepEqual([...new Set(fresh)].sort(), ["b 4", "c 4"]);
  const [listener] = await bed.json<{ counters: { active: number } }[]>("GET", "/listeners");
  assert.equal(listener!.counters.active, clients.length + fresh.length);
  // One session is one socket to one backend.
  const sessions = [a!, b!, c!].reduce((sum, { peers }) => sum + peers.size, 0);
  assert.equal(sessions, clients.length + fresh.length);
});
