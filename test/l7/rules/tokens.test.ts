/** Tokens: which are good, what attackers send, and what rules may ask of their claims. Keys are made here. */
import assert from "node:assert/strict";
import { createHmac, generateKeyPairSync, type KeyObject } from "node:crypto";
import test from "node:test";
import { type JWTPayload, SignJWT } from "jose";
import { type Asked, ask, guarded, headerOf, NOW_MS, nameOf, routeOf, routerOf, statusOf } from "./bed.ts";

const SECRET = "0123456789abcdef0123456789abcdef";
const rsa = generateKeyPairSync("rsa", { modulusLength: 2_048 });
const other = generateKeyPairSync("rsa", { modulusLength: 2_048 });
const ec = generateKeyPairSync("ec", { namedCurve: "P-256" });
const ed = generateKeyPairSync("ed25519");
const pemOf = (key: KeyObject): string => key.export({ type: "spki", format: "pem" }).toString();
const jwks = JSON.stringify({
  keys: [
    { ...rsa.publicKey.export({ format: "jwk" }), kid: "r" },
    { ...ec.publicKey.export({ format: "jwk" }), kid: "e" },
    { ...ed.publicKey.export({ format: "jwk" }) },
    { kty: "oct", k: Buffer.from(SECRET).toString("base64url"), kid: "o" },
  ],
});

const SECONDS = NOW_MS / 1_000;
type Signing = { alg?: string; key?: KeyObject | Uint8Array; kid?: string };
function sign(claims: JWTPayload = {}, { alg = "RS256", key = rsa.privateKey, kid }: Signing = {}): Promise<string> {
  const payload = { iss: "us", aud: "api", exp: SECONDS + 60, ...claims };
  return new SignJWT(payload).setProtectedHeader({ alg, ...(kid && { kid }) }).sign(key);
}
const bearer = (token: string): Asked => ({ fields: { authorization: `Bearer ${token}` } });
const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");

function jwtRouter(jwt: object, keys: string, env: object = {}) {
  const spec = { algorithms: ["RS256"], keys: "file:keys", issuer: "us", audience: "api", leeway: "0s", ...jwt };
  return routerOf([{ jwt: spec, pool: "web" }], { secrets: { "file:keys": keys }, env });
}
const bothPems = pemOf(other.publicKey) + pemOf(rsa.publicKey);

for (const { alg, key, keys } of [
  { alg: "RS256", key: rsa.privateKey, keys: bothPems },
  { alg: "PS256", key: rsa.privateKey, keys: jwks },
  { alg: "ES256", key: ec.privateKey, keys: pemOf(ec.publicKey) },
  { alg: "ES256", key: ec.privateKey, keys: jwks },
  { alg: "EdDSA", key: ed.privateKey, keys: jwks },
  { alg: "HS256", key: new TextEncoder().encode(SECRET), keys: SECRET },
])
  test(`jwt takes ${alg} by ${keys.startsWith("{") ? "JWKS" : keys === SECRET ? "secret" : "PEM"}`, async () => {
    const router = jwtRouter({ algorithms: [alg] }, keys);
    assert.equal(await statusOf(router, bearer(await sign({}, { alg, key }))), 200);
    const forged = await sign(
      {},
      { alg: alg === "HS256" ? "HS256" : "RS256", key: alg === "HS256" ? Buffer.alloc(32, 1) : other.privateKey },
    );
    assert.equal(await statusOf(router, bearer(forged)), alg === "RS256" ? 200 : 401);
  });

const good = await sign();
const [head = "", payload = "", signature = ""] = good.split(".");
for (const [name, token] of [
  ["no token", undefined],
  ["no token at all", ""],
  ["garbage", "a.b.c"],
  ["alg none", `${part({ alg: "none" })}.${payload}.`],
  ["alg none with a signature", `${part({ alg: "none" })}.${payload}.${signature}`],
  ["HS256 with the public key as its secret", await hmacWith(pemOf(rsa.publicKey))],
  ["HS256 with the public key as its secret, trimmed", await hmacWith(pemOf(rsa.publicKey).trim())],
  ["a changed payload", `${head}.${part({ iss: "us", aud: "api", exp: SECONDS + 60, role: "admin" })}.${signature}`],
  ["a changed signature", `${head}.${payload}.${signature.slice(0, -4)}AAAA`],
  ["another key", await sign({}, { key: other.privateKey })],
  ["an algorithm that is not listed", await sign({}, { alg: "PS256" })],
  ["ended", await sign({ exp: SECONDS - 1 })],
  ["not yet", await sign({ nbf: SECONDS + 30 })],
  ["another audience", await sign({ aud: "web" })],
  ["another issuer", await sign({ iss: "them" })],
  ["no issuer", await new SignJWT({ aud: "api" }).setProtectedHeader({ alg: "RS256" }).sign(rsa.privateKey)],
  [
    "a critical extension",
    await new SignJWT({ iss: "us", aud: "api" })
      .setProtectedHeader({ alg: "RS256", crit: ["x"], x: 1 })
      .sign(rsa.privateKey, { crit: { x: true } }),
  ],
  ["too long", `${good}${"A".repeat(9_000)}`],
] as const)
  test(`jwt refuses: ${name}`, async () => {
    const router = jwtRouter({}, pemOf(rsa.publicKey));
    const request = ask(token === undefined ? {} : bearer(token));
    const reply = await guarded((await routeOf(router, request))!, request);
    assert.equal(reply?.status, 401);
    assert.match(headerOf(reply, "www-authenticate")!, /^Bearer/);
    assert.equal(request.claims, undefined);
  });
function hmacWith(secret: string): string {
  const text = `${part({ alg: "HS256", typ: "JWT" })}.${payload}`;
  return `${text}.${createHmac("sha256", secret).update(text).digest("base64url")}`;
}

test("a token that was good is known until it ends, and not a moment longer", async () => {
  let nowMs = NOW_MS;
  const waits: number[] = [];
  const env = { unixMs: () => nowMs, waiting: (change: number) => void waits.push(change) };
  const router = jwtRouter({ leeway: "5s" }, pemOf(rsa.publicKey), env);
  assert.equal(await statusOf(router, bearer(good)), 200);
  assert.deepEqual(waits, [1, -1]);
  const request = ask(bearer(good));
  const route = await routeOf(router, request);
  assert.equal(route?.guards[0]?.(request, 0), undefined, "no promise");
  assert.equal(request.claimOf("iss"), "us");
  nowMs += 64_000;
  assert.equal(await statusOf(router, bearer(good)), 200, "leeway");
  nowMs += 1_500;
  assert.equal(await statusOf(router, bearer(good)), 401);
});

test("a token may stand in a cookie or in another field", async () => {
  const keys = pemOf(rsa.publicKey);
  assert.equal(await statusOf(jwtRouter({ from: { cookie: "t" } }, keys), { fields: { cookie: `t=${good}` } }), 200);
  assert.equal(await statusOf(jwtRouter({ from: { cookie: "t" } }, keys), bearer(good)), 401);
  assert.equal(await statusOf(jwtRouter({ from: { header: "X-Token" } }, keys), { fields: { "x-token": good } }), 200);
});

test("rules match claims of verified tokens alone, also lists and paths", async () => {
  const jwt = { algorithms: ["RS256"], keys: "file:keys", audience: "api" };
  const router = routerOf(
    [
      { name: "gold", match: { claim: { plan: "gold" }, jwt }, pool: "api" },
      { name: "admin", match: { claim: { "realm.roles": { prefix: "adm" } }, jwt }, pool: "api" },
      { name: "not-us", match: { claim: { iss: { exact: "us", not: true } }, jwt }, pool: "api" },
      { name: "rest", pool: "web" },
    ],
    { secrets: { "file:keys": pemOf(rsa.publicKey) } },
  );
  const forged = `${head}.${part({ aud: "api", plan: "gold" })}.${signature}`;
  for (const [token, name] of [
    [await sign({ plan: "gold" }), "gold"],
    [await sign({ realm: { roles: ["user", "admin"] } }), "admin"],
    [await sign({ iss: "them" }), "not-us"],
    [good, "rest"],
    [forged, "rest"],
    [await sign({ plan: "gold" }, { key: other.privateKey }), "rest"],
    [await sign({ plan: "gold", exp: SECONDS - 60 }), "rest"],
  ] as const)
    for (const round of [1, 2]) assert.equal(await nameOf(router, bearer(token)), name, `${name}, ${round}`);
  assert.equal(await nameOf(router), "rest");
  const request = ask(bearer(await sign({ plan: "gold" })));
  await routeOf(router, request);
  assert.equal(request.claimOf("plan"), "gold");
});

test("what one rule verified is not taken for what another one asks", async () => {
  const jwtA = { algorithms: ["RS256"], keys: "file:a" };
  const jwtB = { algorithms: ["RS256"], keys: "file:b" };
  const router = routerOf(
    [
      { name: "b", match: { claim: { plan: "gold" }, jwt: jwtB }, pool: "api" },
      { name: "a", match: { claim: { plan: true }, jwt: jwtA }, pool: "web" },
    ],
    { secrets: { "file:a": pemOf(rsa.publicKey), "file:b": pemOf(other.publicKey) } },
  );
  assert.equal(await nameOf(router, bearer(await sign({ plan: "gold" }))), "a");
  assert.equal(await nameOf(router, bearer(await sign({ plan: "gold" }, { key: other.privateKey }))), "b");
});
