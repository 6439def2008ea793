/** TLS of a whole balancer: files that change under load, revocations, OCSP, tickets over a restart, ACME. */
import assert from "node:assert/strict";
import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { type ConnectionOptions, connect, type TLSSocket } from "node:tls";
import { startPebble } from "../acme/pebble.ts";
import { createAuthority, type Issued } from "../tls/authority.ts";
import { keepSession, sClient } from "../tls/tls-bed.ts";
import { type BedConfig, configHead, lineClient, startBackend, startBalancer } from "./balancer-bed.ts";
import { freePort, without } from "./tools.ts";

const OPTIONS = { timeout: 90_000, skip: without("openssl") };

const configOf =
  (backend: number, listener: string): BedConfig =>
  ({ port, apiPort }) =>
    `${configHead(apiPort)}balancer:
  region: here
  workers: 2
  listeners:
    in: { listen: "127.0.0.1:${port}", pool: web, ${listener} }
  pools:
    web: { check: none, backends: ["127.0.0.1:${backend}"] }
`;

/** Replaces a file as deployment tools do. */
function put(file: string, text: string | Uint8Array): void {
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
}

/** One handshake, and a line to the backend and back. @returns the serial number that the server showed */
async function visit(t: TestContext, port: number, options: ConnectionOptions): Promise<string> {
  const socket: TLSSocket = connect({ port, host: "127.0.0.1", servername: "one.test", ...options });
  t.after(() => socket.destroy());
  const client = await lineClient(socket, "secureConnect");
  const serial = socket.getPeerX509Certificate()?.serialNumber ?? "";
  assert.equal(await client.ask("hello"), "a hello");
  client.close();
  return serial;
}

test("certificates that change on disk are taken up without a failed handshake", OPTIONS, async (t) => {
  const authority = createAuthority(t);
  const backend = await startBackend(t, "a");
  const [certFile, keyFile] = [join(authority.folder, "site.pem"), join(authority.folder, "site.key")];
  const write = ({ cert, key }: Issued): void => {
    put(keyFile, key);
    put(certFile, cert);
  };
  write(authority.issue({ names: ["one.test"] }));
  const listener = `protocol: tls, certificates: [{ cert: "${certFile}", key: "${keyFile}" }]`;
  const bed = await startBalancer(t, configOf(backend.port, listener));
  const metrics = async (): Promise<string> => (await bed.api("GET", "/metrics")).text();
  const notAfter = async (): Promise<number> =>
    Number(/rhumb_tls_certificate_not_after_seconds\{[^}]*site\.pem"\} (\d+)/.exec(await metrics())?.[1]);
  await bed.printed(/site\.pem ends on \d{4}-\d\d-\d\d: renew it/); // it has ten days

  let isDone = false;
  const seen = new Set<string>();
  const visitors = Array.from({ length: 3 }, async () => {
    while (!isDone) seen.add(await visit(t, bed.port, { ca: authority.ca }));
  });
  const before = await notAfter();
  for (let round = 1; round <= 4; round++) {
    write(authority.issue({ names: ["one.test"], notAfter: `20${40 + round}0101000000Z` }));
    while (seen.size <= round) await Promise.race([...visitors, new Promise(setImmediate)]);
  }
  assert.ok((await notAfter()) > before);
  await bed.printed(/site\.pem is good until 204/);

  // A pair that does not fit is refused with file and fix; what was there serves on.
  const from = bed.out().length;
  put(keyFile, authority.issue().key);
  await bed.printed(/site\.key is not the key of the certificate in .*Write the key/, from);
  const last = await visit(t, bed.port, { ca: authority.ca });
  isDone = true;
  await Promise.all(visitors);
  assert.ok(seen.has(last));
  assert.equal(seen.size, 5);
});

test("a revoked client, a staple, and tickets that outlive the process", OPTIONS, async (t) => {
  const authority = createAuthority(t);
  const clients = createAuthority(t, "Clients");
  const backend = await startBackend(t, "a");
  const ocspPort = await freePort();
  const site = authority.issue({ names: ["one.test"], responder: `http://127.0.0.1:${ocspPort}/` });
  await authority.startResponder(t, ocspPort);
  const [chain, crl, secret] = ["chain.pem", "clients.crl", "tickets"].map((name) => join(authority.folder, name));
  writeFileSync(chain!, site.cert + authority.ca);
  writeFileSync(crl!, clients.crl());
  writeFileSync(secret!, Buffer.alloc(48, 7));
  const good = clients.issue({ subject: "/CN=good" });
  const listener = `protocol: tls, certificates: [{ cert: "${chain}", key: "${site.keyFile}" }], tls: { client: { ca: "${clients.caFile}", crl: "${crl}" }, tickets: { secret: "${secret}" } }`;
  const bed = await startBalancer(t, configOf(backend.port, listener));
  const options = { ca: authority.ca, cert: good.cert, key: good.key };
  await visit(t, bed.port, options);
  await assert.rejects(visit(t, bed.port, { ca: authority.ca }));
  assert.match(await (await bed.api("GET", "/metrics")).text(), /refused_total\{listener="in",reason="handshake"\} 1/);

  const shown = ["-status", "-servername", "one.test", "-cert", good.certFile, "-key", good.keyFile];
  for (let said = ""; !/Cert Status: good/.test(said); ) said = await sClient(bed.port, shown);

  const session = await keepSession(t, bed.port, { ...options, servername: "one.test" });
  await bed.restart();
  const resumed = connect({ port: bed.port, host: "127.0.0.1", servername: "one.test", ...options, session });
  const client = await lineClient(resumed, "secureConnect");
  assert.equal(await client.ask("hello"), "a hello");
  assert.equal(resumed.isSessionReused(), true);

  clients.revoke(good);
  put(crl!, clients.crl());
  const isRefused = () =>
    visit(t, bed.port, options).then(
      () => false,
      () => true,
    );
  while (!(await isRefused()));
  assert.equal(await client.ask("again"), "a again", "who is in stays");
  client.close();
});

test("a certificate comes by ACME, and stays over a restart", OPTIONS, async (t) => {
  const backend = await startBackend(t, "a");
  const ordinary = createAuthority(t).issue({ names: ["else.test"] });
  const files = `certificates: [{ cert: "${ordinary.certFile}", key: "${ordinary.keyFile}" }]`;
  let text = "";
  const bed = await startBalancer(t, (facts) => {
    text = configOf(backend.port, `protocol: tls, ${files}`)(facts);
    return text;
  });
  const pebble = await startPebble(t, { http: 0, tls: bed.port });
  writeFileSync(join(bed.folder, "pebble.pem"), pebble.ca);
  const acme = `acme: { acceptTerms: true, directory: "${pebble.directory}", ca: pebble.pem, domains: [one.test] }`;
  await bed.reload(text.replace(files, `${files}, tls: { ${acme} }`));
  await bed.printed(/A certificate for one\.test is here/);
  const serial = await visit(t, bed.port, { ca: pebble.ca });
  assert.match(await (await bed.api("GET", "/metrics")).text(), /rhumb_acme_orders_total\{[^}]*result="issued"\} 1/);
  await bed.restart();
  assert.equal(await visit(t, bed.port, { ca: pebble.ca }), serial);
  assert.equal(pebble.orders(), 1);
});

test("a certificate comes by ACME over port 80, past the redirect to HTTPS", OPTIONS, async (t) => {
  const backend = await startBackend(t, "a");
  const plainPort = await freePort();
  const pebble = await startPebble(t, { http: plainPort, tls: 0 });
  const ca = join(createAuthority(t).folder, "pebble.pem");
  writeFileSync(ca, pebble.ca);
  const acme = `{ acceptTerms: true, directory: "${pebble.directory}", ca: "${ca}", challenge: http-01, domains: [one.test, two.test] }`;
  const bed = await startBalancer(t, (facts) =>
    configOf(
      backend.port,
      `protocol: tls, tls: { acme: ${acme} } }
    plain: { listen: "127.0.0.1:${plainPort}", protocol: http, rules: [{ match: {}, redirect: { scheme: https } }]`,
    )(facts),
  );
  await bed.printed(/A certificate for one\.test, two\.test is here/);
  const serials = new Set<string>();
  for (const servername of ["one.test", "two.test"])
    serials.add(await visit(t, bed.port, { ca: pebble.ca, servername }));
  assert.equal(serials.size, 1);
  // What was proved is over: the path is as any other.
  const answer = await fetch(`http://127.0.0.1:${plainPort}/.well-known/acme-challenge/x`, { redirect: "manual" });
  assert.equal(answer.status, 308);
  await bed.restart();
  assert.deepEqual(new Set([await visit(t, bed.port, { ca: pebble.ca })]), serials);
  assert.equal(pebble.orders(), 1);
});
