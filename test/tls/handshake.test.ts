/** What listeners that end TLS agree to: versions, ciphers, groups, key types, sessions, client certificates. */
import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import test, { type TestContext } from "node:test";
import { createTlsContexts, DEFAULT_POLICY, type TlsContexts, type TlsContextsOptions } from "#tls/contexts.ts";
import { createSessionCache } from "#tls/session-cache.ts";
import { until } from "../net/bed.ts";
import { DRIVERS } from "../net/drivers.ts";
import { without } from "../system/tools.ts";
import { createAuthority } from "./authority.ts";
import { dial, keepSession, openTlsBed, sClient, type TlsBed } from "./tls-bed.ts";

const skip = without("openssl");
type Open = (contexts: TlsContexts, alpn?: readonly string[]) => TlsBed;
/** On each driver. */
function check(title: string, run: (t: TestContext, open: Open, driver: string) => Promise<void>): void {
  for (const [driver, create] of Object.entries(DRIVERS))
    test(`${driver} ${title}`, { skip, timeout: 60_000 }, (t) =>
      run(t, (contexts, alpn) => openTlsBed(t, contexts, alpn, create), driver),
    );
}

const authority = skip ? undefined! : createAuthority(undefined);
test.after(() => skip === false && rmSync(authority.folder, { recursive: true }));
const one = skip ? undefined! : authority.issue({ names: ["one.example"] });
const rsa = skip ? undefined! : authority.issue({ names: ["one.example"], keyType: "rsa" });
const trust = () => ({ ca: authority.ca });
const contextsOf = (changes: Partial<TlsContextsOptions> = {}) =>
  createTlsContexts({
    listener: "web",
    certificates: [one],
    tickets: { secret: new Uint8Array(32).fill(7), rotateMs: 3_600_000 },
    ...changes,
  });

// ── versions, ciphers, groups ────────────────────────────────────────────────────────────────────────────────────

for (const { title, options } of [
  { title: "TLS 1.1", options: { maxVersion: "TLSv1.1", minVersion: "TLSv1", ciphers: "ALL:@SECLEVEL=0" } },
  { title: "CBC", options: { maxVersion: "TLSv1.2", ciphers: "ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES128-SHA" } },
  { title: "RSA key exchange", options: { maxVersion: "TLSv1.2", ciphers: "AES128-GCM-SHA256" } },
  { title: "finite field DH", options: { maxVersion: "TLSv1.2", ciphers: "DHE-RSA-AES128-GCM-SHA256" } },
  { title: "a curve of yesterday", options: { ecdhCurve: "secp256k1", maxVersion: "TLSv1.2" } },
] as const)
  check(`startTls() refuses ${title}`, async (t, open) => {
    const bed = open(contextsOf({ certificates: [one, rsa] }));
    await assert.rejects(dial(t, bed.port, { ...trust(), ...options }));
    await until(() => bed.failed() === 1);
    await dial(t, bed.port, trust());
  });
check("startTls() says what was agreed on, and takes the server's order of ciphers", async (t, open) => {
  const bed = open(contextsOf(), ["h2", "http/1.1"]);
  const ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-ECDSA-AES128-GCM-SHA256";
  await dial(t, bed.port, { ...trust(), maxVersion: "TLSv1.2", ciphers, ALPNProtocols: ["http/1.1", "h2"] });
  const socket = await dial(t, bed.port, trust());
  assert.equal((socket.getEphemeralKeyInfo() as { name?: string }).name, "X25519MLKEM768");
  assert.deepEqual(bed.agreements, [
    {
      serverName: "one.example",
      alpn: "h2",
      version: "TLSv1.2",
      cipher: "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
      peer: undefined,
    },
    {
      serverName: "one.example",
      alpn: undefined,
      version: "TLSv1.3",
      cipher: "TLS_AES_128_GCM_SHA256",
      peer: undefined,
    },
  ]);
});
check("startTls() takes TLS 1.3 alone where the configuration says so", async (t, open) => {
  const bed = open(contextsOf({ policy: { ...DEFAULT_POLICY, minVersion: "TLSv1.3" } }));
  await assert.rejects(dial(t, bed.port, { ...trust(), maxVersion: "TLSv1.2" }));
  await dial(t, bed.port, trust());
});
check("createTlsContexts() gives each client the key type that it can check", async (t, open) => {
  const bed = open(contextsOf({ certificates: [rsa, one] }));
  for (const [cipher, type] of [
    ["ECDHE-ECDSA-AES128-GCM-SHA256", "ec"],
    ["ECDHE-RSA-AES128-GCM-SHA256", "rsa"],
  ]) {
    const socket = await dial(t, bed.port, { ...trust(), ciphers: cipher!, maxVersion: "TLSv1.2" });
    assert.equal(socket.getPeerX509Certificate()!.publicKey.asymmetricKeyType, type);
  }
});
check("startTls() does not renegotiate", async (t, open) => {
  const bed = open(contextsOf());
  const socket = await dial(t, bed.port, { ...trust(), maxVersion: "TLSv1.2" });
  const error = await new Promise<Error | null>((resolve) => {
    socket.on("error", resolve);
    socket.renegotiate({}, (fault) => resolve(fault));
  });
  assert.match(String(error), /no.renegotiation/i);
});
check("startTls() outlives hostile names", async (t, open) => {
  const bed = open(contextsOf());
  // What openssl puts on the wire as it is; names of no client that means well.
  for (const name of [
    "\u0001\u0002",
    "a".repeat(255),
    "..",
    "*.example",
    "__proto__",
    "ÿ.example",
    "%s%n",
    "one.example.",
  ])
    await sClient(bed.port, ["-servername", name]).catch(() => {});
  await dial(t, bed.port, trust());
});

// ── sessions ─────────────────────────────────────────────────────────────────────────────────────────────────────

for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
  check(`tickets of ${maxVersion} are good at each node with the same secret, until the slot ends`, async (t, open) => {
    let nowMs = 1_000_000;
    const options = { tickets: { secret: Buffer.alloc(32, 1), rotateMs: 10_000 }, nowMs: () => nowMs };
    const bed = open(contextsOf(options));
    const session = await keepSession(t, bed.port, { ...trust(), maxVersion });
    const again = async () => (await dial(t, bed.port, { ...trust(), maxVersion, session })).isSessionReused();
    bed.use(contextsOf(options)); // another node
    assert.equal(await again(), true);
    nowMs += 10_000;
    assert.equal(await again(), false, "the next slot");
    nowMs -= 10_000;
    assert.equal(await again(), true, "made again from the clock alone");
    bed.use(contextsOf({ ...options, tickets: { secret: Buffer.alloc(32, 2), rotateMs: 10_000 } }));
    assert.equal(await again(), false, "another secret");
  });
  check(
    `R37: sessions of ${maxVersion} do not cross listeners, nor a change of whom a listener asks for`,
    async (t, open) => {
      const bed = open(contextsOf());
      const session = await keepSession(t, bed.port, { ...trust(), maxVersion });
      const again = async () => (await dial(t, bed.port, { ...trust(), maxVersion, session })).isSessionReused();
      assert.equal(await again(), true);
      bed.use(contextsOf({ listener: "other" }));
      assert.equal(await again(), false);
      const client = { mode: "optional", ca: authority.ca, crl: undefined } as const;
      bed.use(contextsOf({ policy: { ...DEFAULT_POLICY, client } }));
      assert.equal(await again(), false);
    },
  );
}
check("the session cache resumes TLS 1.2 clients without tickets, and holds no others", async (t, open, driver) => {
  const sessions = createSessionCache(2);
  const assertSize = (size: number) => driver === "net" && assert.equal(sessions.size(), size); // else in OpenSSL
  const bed = open(contextsOf({ sessions }));
  await dial(t, bed.port, trust());
  await dial(t, bed.port, { ...trust(), maxVersion: "TLSv1.2" });
  assertSize(0);
  const { SSL_OP_NO_TICKET: secureOptions } = (await import("node:crypto")).constants;
  const old = { ...trust(), maxVersion: "TLSv1.2", secureOptions } as const;
  const kept = (await dial(t, bed.port, old)) as Awaited<ReturnType<typeof dial>>;
  assertSize(1);
  const session = await keepSession(t, bed.port, old);
  assert.equal(kept.isSessionReused(), false);
  assert.equal((await dial(t, bed.port, { ...old, session })).isSessionReused(), true);
  for (let count = 0; count < 3; count++) await dial(t, bed.port, old);
  assertSize(2);
  assert.equal((await dial(t, bed.port, { ...old, session })).isSessionReused(), false, "the oldest went first");
});

// ── client certificates ──────────────────────────────────────────────────────────────────────────────────────────

check("startTls() takes client certificates of its authority alone, and tells whose they are", async (t, open) => {
  const clients = createAuthority(t, "Clients");
  const others = createAuthority(t, "Others");
  const [good, bad, stranger, old] = [
    clients.issue({ subject: "/O=Ops, Inc/CN=good" }),
    clients.issue({ subject: "/CN=bad" }),
    others.issue({ subject: "/CN=good" }),
    clients.issue({ subject: "/CN=old", notBefore: "20200101000000Z", notAfter: "20200102000000Z" }),
  ];
  clients.revoke(bad);
  const policyOf = (mode: "optional" | "require", crl: string | undefined) =>
    contextsOf({ policy: { ...DEFAULT_POLICY, client: { mode, ca: clients.ca, crl } } });
  const crl = clients.crl();
  for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
    const options = { ...trust(), maxVersion };
    for (const { mode, withCrl, shown, isTaken } of [
      { mode: "require", withCrl: false, shown: good, isTaken: true },
      { mode: "require", withCrl: false, shown: undefined, isTaken: false },
      { mode: "require", withCrl: false, shown: stranger, isTaken: false },
      { mode: "require", withCrl: false, shown: old, isTaken: false },
      { mode: "require", withCrl: false, shown: bad, isTaken: true },
      { mode: "require", withCrl: true, shown: good, isTaken: true },
      { mode: "require", withCrl: true, shown: bad, isTaken: false },
      { mode: "optional", withCrl: true, shown: undefined, isTaken: true },
      { mode: "optional", withCrl: true, shown: good, isTaken: true },
      { mode: "optional", withCrl: true, shown: bad, isTaken: false },
      { mode: "optional", withCrl: true, shown: stranger, isTaken: false },
    ] as const) {
      const bed = open(policyOf(mode, withCrl ? crl : undefined));
      const dialled = dial(t, bed.port, { ...options, ...(shown ? { cert: shown.cert, key: shown.key } : {}) });
      const title = `${maxVersion} ${mode} ${withCrl} ${shown?.name}`;
      if (!isTaken) {
        await assert.rejects(dialled, title);
        assert.equal(bed.failed(), 1, title);
        continue;
      }
      const socket = await dialled;
      const certificate = shown && socket.getX509Certificate()!;
      assert.deepEqual(
        bed.agreements[0]!.peer,
        shown && {
          subject: shown === good ? "CN=good,O=Ops\\, Inc" : "CN=bad",
          fingerprint: certificate!.fingerprint256.replaceAll(":", "").toLowerCase(),
        },
        title,
      );
    }
  }
});
check("startTls() ends sessions with the certificate that they were given for", async (t, open) => {
  const clients = createAuthority(t, "Clients");
  const client = clients.issue({ subject: "/CN=client" });
  const policyOf = (crl: string) =>
    contextsOf({ policy: { ...DEFAULT_POLICY, client: { mode: "require", ca: clients.ca, crl } } });
  const bed = open(policyOf(clients.crl()));
  const options = { ...trust(), cert: client.cert, key: client.key };
  const session = await keepSession(t, bed.port, options);
  const resumed = await dial(t, bed.port, { ...options, session });
  assert.equal(resumed.isSessionReused(), true);
  assert.equal(bed.agreements.at(-1)!.peer?.subject, "CN=client");
  clients.revoke(client);
  bed.use(policyOf(clients.crl()));
  await assert.rejects(dial(t, bed.port, { ...options, session }));
});
