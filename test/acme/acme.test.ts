/** Certificates by ACME from a server of the test, with both kinds of proof shown over real sockets. */
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { type Acme, createAcme, renewAtMs } from "#acme/create-acme.ts";
import { acmeKey, openAcmeFolder } from "#acme/folder.ts";
import { createManualClock } from "#base/clock.ts";
import type { TcpDriver } from "#net/driver.ts";
import type { RhumbEvent } from "#state/events.ts";
import type { AcmeSpec } from "#state/http.ts";
import { createTlsContexts } from "#tls/contexts.ts";
import { createHttpChallenges } from "#tls/http-challenges.ts";
import { until } from "../net/bed.ts";
import { DRIVERS } from "../net/drivers.ts";
import { freePort, without } from "../system/tools.ts";
import { makeCertificate } from "../tls/certificates.ts";
import { dial, openTlsBed, type TlsBed } from "../tls/tls-bed.ts";
import { type Pebble, startPebble } from "./pebble.ts";

const skip = without("openssl");
const DAY_MS = 86_400_000;

type World = {
  readonly pebble: Pebble;
  readonly bed: TlsBed;
  readonly folder: string;
  specOf(changes?: Partial<AcmeSpec>): AcmeSpec;
};
async function createWorld(t: TestContext, httpPort: number, driver?: () => TcpDriver): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), "rhumb-acme-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const first = makeCertificate("none.example");
  const bed = openTlsBed(t, contextsOf([first]), [], driver);
  const pebble = await startPebble(t, { http: httpPort, tls: bed.port });
  const caFile = join(folder, "pebble.pem");
  writeFileSync(caFile, pebble.ca);
  return {
    pebble,
    bed,
    folder,
    specOf: (changes = {}) => ({
      directory: pebble.directory,
      email: "ops@example.com",
      domains: ["one.example", "two.example"],
      challenge: "tls-alpn-01",
      folder: join(folder, "acme"),
      renewBeforeMs: 30 * DAY_MS,
      caFile,
      ...changes,
    }),
  };
}
const contextsOf = (
  certificates: Parameters<typeof createTlsContexts>[0]["certificates"],
  challenges: Parameters<typeof createTlsContexts>[0]["challenges"] = [],
) =>
  createTlsContexts({
    listener: "web",
    certificates,
    challenges,
    tickets: { secret: new Uint8Array(32), rotateMs: 3_600_000 },
  });

function startNode(t: TestContext, { bed }: World, spec: AcmeSpec, http = createHttpChallenges()) {
  const clock = createManualClock(Date.now());
  const events: RhumbEvent[] = [];
  const acme: Acme = createAcme({
    clock,
    rng: () => 0.5,
    emit: (event) => events.push(event),
    pollMs: 20,
    async publish() {
      const { certificates, proofs } = acme.state();
      const shown = proofs.map(({ proof }) => proof);
      http.set(Object.fromEntries(shown.flatMap((one) => (one.kind === "http-01" ? [[one.token, one.answer]] : []))));
      bed.use(
        contextsOf(
          [...certificates.values()],
          shown.flatMap((one) => (one.kind === "tls-alpn-01" ? [one] : [])),
        ),
      );
    },
  });
  t.after(() => acme.close());
  const begin = async (): Promise<void> => {
    await acme.prepare([spec]);
    acme.apply([spec]);
    clock.advance(0);
  };
  return { acme, clock, events, begin, told: () => events.map(({ severity, says }) => `${severity} ${says}`) };
}

for (const [driver, create, challenge] of [
  ...Object.entries(DRIVERS).map((each) => [...each, "tls-alpn-01"] as const),
  ["net", undefined, "http-01"] as const,
])
  test(`createAcme() gets a certificate by ${challenge} over ${driver}, and renews it in time`, {
    skip,
    timeout: 60_000,
  }, async (t) => {
    const http = createHttpChallenges();
    const server = createServer((request, response) => {
      const answer = http.answerOf(request.url!);
      response.writeHead(answer === undefined ? 404 : 200).end(answer);
    }).listen(0, "127.0.0.1");
    t.after(() => server.close());
    await once(server, "listening");
    const world = await createWorld(t, (server.address() as { port: number }).port, create);
    const spec = world.specOf({ challenge });
    const { acme, clock, begin, told } = startNode(t, world, spec, http);
    await begin();
    assert.equal(acme.status()[0]!.notAfterMs, undefined);
    await until(() => told().length === 1);
    assert.match(told()[0]!, /^info A certificate for one\.example, two\.example is here/);
    assert.ok(world.pebble.badNonces() > 0, "the server refused nonces");
    assert.deepEqual(
      [...world.pebble.accounts.values()].map(({ contact }) => contact),
      [["mailto:ops@example.com"]],
    );
    for (const servername of ["one.example", "two.example"])
      await dial(t, world.bed.port, { servername, ca: world.pebble.ca });
    assert.deepEqual(acme.state().proofs, []);
    for (const file of readdirSync(spec.folder))
      assert.equal(statSync(join(spec.folder, file)).mode & 0o777, 0o600, file);

    const before = openAcmeFolder(spec).certificate()!;
    assert.equal(world.pebble.orders(), 1);
    clock.advance(acme.status()[0]!.nextAtMs - clock.nowMs() - 1_000);
    assert.equal(world.pebble.orders(), 1, "not before its time");
    clock.advance(2_000);
    await until(() => told().length === 2);
    const after = openAcmeFolder(spec).certificate()!;
    assert.notEqual(new X509Certificate(after.cert).serialNumber, new X509Certificate(before.cert).serialNumber);
    assert.equal(world.pebble.accounts.size, 1, "the account is kept");
  });

test("createAcme() takes what another node brought, and a restart takes what is there", {
  skip,
  timeout: 60_000,
}, async (t) => {
  const world = await createWorld(t, await freePort());
  const spec = world.specOf();
  const [one, other] = [startNode(t, world, spec), startNode(t, world, spec)];
  const lock = openAcmeFolder(spec).lock(Date.now())!;
  await one.begin();
  await until(() => one.acme.status()[0]!.nextAtMs > one.clock.nowMs());
  assert.equal(world.pebble.orders(), 0, "another node has the lock");
  lock();
  one.clock.advance(31_000);
  await until(() => one.told().length === 1);
  await other.begin();
  assert.equal(
    other.acme.state().certificates.get(acmeKey(spec))!.cert,
    one.acme.state().certificates.get(acmeKey(spec))!.cert,
  );
  assert.equal(world.pebble.orders(), 1);
});

test("createAcme() goes slower after each failure, and says when it is over", { skip, timeout: 60_000 }, async (t) => {
  const world = await createWorld(t, await freePort());
  const { acme, clock, begin, events, told } = startNode(t, world, world.specOf({ challenge: "http-01" }));
  const waits: number[] = [];
  const fails = async (count: number): Promise<void> => {
    await until(() => events.length === count);
    waits.push(Math.round((acme.status()[0]!.nextAtMs - clock.nowMs()) / 60_000));
    clock.advance(acme.status()[0]!.nextAtMs - clock.nowMs());
  };
  await begin();
  await fails(1); // nobody answers at port 80
  await fails(2);
  world.pebble.refuse({ status: 429, type: "rateLimited", detail: "too many new orders recently" });
  await fails(3);
  assert.match(told()[2]!, /too many/);
  assert.deepEqual(waits, [4, 8, 60]);
  assert.match(told()[0]!, /^alarm No certificate for one\.example, two\.example: .*; tried again in 4 min/);
  assert.match(told()[2]!, /too many/);
  assert.deepEqual(acme.status()[0]!.failures, 3);
});

test("createAcme() says that an authority is away", { skip, timeout: 60_000 }, async (t) => {
  const world = await createWorld(t, await freePort());
  const spec = world.specOf({ directory: `https://127.0.0.1:${await freePort()}/dir` });
  const { begin, told } = startNode(t, world, spec);
  await begin();
  await until(() => told().length === 1);
  assert.match(told()[0]!, /ECONNREFUSED/);
  const untrusted = startNode(t, world, world.specOf({ caFile: undefined }));
  await untrusted.begin();
  await until(() => untrusted.told().length === 1);
  assert.match(untrusted.told()[0]!, /unable to (get|verify)|self.signed/);
});

test("renewAtMs() comes before the end by what is configured, or by a third of a short life", () => {
  const of = (days: number) => ({ cert: "", key: "", notBeforeMs: 0, notAfterMs: days * DAY_MS });
  assert.equal(
    renewAtMs(of(90), 30 * DAY_MS, () => 0),
    60 * DAY_MS,
  );
  assert.equal(
    renewAtMs(of(90), 30 * DAY_MS, () => 0.5),
    58.5 * DAY_MS,
  );
  assert.equal(
    renewAtMs(of(6), 30 * DAY_MS, () => 0),
    4 * DAY_MS,
  );
});
