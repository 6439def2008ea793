import assert from "node:assert/strict";
import test from "node:test";
import { createSeededRng } from "#base/rng.ts";
import { stripCookie } from "#l7/sticky/own-cookie.ts";
import { createStickyCookie } from "#l7/sticky/sticky-cookie.ts";
import type { PoolSpec } from "#state/balancer.ts";
import type { StickyCookieSpec } from "#state/http.ts";
import { backendAt, poolOf, stickyBySource } from "../../pool/specs.ts";

const HOUR_MS = 3_600_000;
const NOW_MS = 1_800_000_000_000;

const cookieSpec = (changes: Partial<StickyCookieSpec> = {}): StickyCookieSpec => ({
  name: "RHUMB",
  keys: [{ id: "k2", secret: "a new secret of some length" }],
  isSecure: "auto",
  sameSite: "Lax",
  path: "/",
  domain: undefined,
  ...changes,
});
const poolWith = (cookie: Partial<StickyCookieSpec> = {}, changes: Partial<PoolSpec> = {}): PoolSpec =>
  poolOf([backendAt(1), backendAt(2)], {
    sticky: { ...stickyBySource(), by: "cookie", ttlMs: HOUR_MS, cookie: cookieSpec(cookie) },
    ...changes,
  });
const cookieOf = (pool: PoolSpec) => createStickyCookie(pool)!;
/** The value within a `Set-Cookie` field. */
const cookieValue = (field: string): string => field.slice(field.indexOf("=") + 1, field.indexOf(";"));

test("a client comes back to its backend on every node with the same keys", () => {
  const written = cookieOf(poolWith()).write(backendAt(2), true, NOW_MS);
  assert.match(
    written,
    /^RHUMB=v1\.k2\.000002\.[0-9a-z]+\.[A-Za-z0-9_-]{22}; Path=\/; Max-Age=3600; HttpOnly; SameSite=Lax; Secure$/,
  );
  assert.ok(cookieValue(written).length <= 50, "costs less than 50 octets a request");
  assert.deepEqual(cookieOf(poolWith()).read(cookieValue(written), NOW_MS), { backend: "10.0.0.2:80", isOld: false });
});

const attributes: readonly (readonly [Partial<StickyCookieSpec>, boolean, string])[] = [
  [{}, false, "; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax"],
  [{ isSecure: true }, false, "; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax; Secure"],
  [{ isSecure: false }, true, "; Path=/; Max-Age=3600; HttpOnly; SameSite=Lax"],
  [
    { sameSite: "None", path: "/shop", domain: "example.com" },
    true,
    "; Path=/shop; Domain=example.com; Max-Age=3600; HttpOnly; SameSite=None; Secure",
  ],
];
for (const [changes, isSecure, expected] of attributes)
  test(`attributes of ${JSON.stringify(changes)} over ${isSecure ? "TLS" : "plain TCP"}`, () => {
    const field = cookieOf(poolWith(changes)).write(backendAt(1), isSecure, NOW_MS);
    assert.equal(field.slice(field.indexOf(";")), expected);
  });

test("R41: whatever is changed of a cookie, it is none", () => {
  const cookie = cookieOf(poolWith());
  const value = cookieValue(cookie.write(backendAt(1), true, NOW_MS));
  const rng = createSeededRng(41);
  for (let round = 0; round < 3_000; round++) {
    const at = Math.floor(rng() * value.length);
    const code = 33 + Math.floor(rng() * 94);
    const changed =
      rng() < 0.5
        ? value.slice(0, at) + String.fromCharCode(code) + value.slice(at + 1)
        : rng() < 0.5
          ? value.slice(0, at)
          : value + String.fromCharCode(code);
    // Base64 has digits whose last bits count for nothing: what differs in them alone has the same octets.
    const isSame = Buffer.from(changed.split(".")[4] ?? "", "base64url").equals(
      Buffer.from(value.split(".")[4]!, "base64url"),
    );
    const isSameText = changed.split(".").slice(0, 4).join(".") === value.split(".").slice(0, 4).join(".");
    if (isSame && isSameText && changed.split(".").length === 5) continue;
    assert.equal(cookie.read(changed, NOW_MS), undefined, changed);
  }
});

test("a cookie of another pool, of an unknown key, of a backend that is gone, or that has ended is none", () => {
  const value = cookieValue(cookieOf(poolWith()).write(backendAt(2), true, NOW_MS));
  assert.equal(cookieOf(poolWith({}, { name: "other" })).read(value, NOW_MS), undefined);
  assert.equal(cookieOf(poolWith({ keys: [{ id: "k9", secret: "x" }] })).read(value, NOW_MS), undefined);
  assert.equal(cookieOf(poolWith({ keys: [{ id: "k2", secret: "another" }] })).read(value, NOW_MS), undefined);
  assert.equal(cookieOf(poolWith({}, { backends: [backendAt(1)] })).read(value, NOW_MS), undefined);
  assert.ok(cookieOf(poolWith()).read(value, NOW_MS + HOUR_MS - 1));
  const cookie = cookieOf(poolWith());
  assert.ok(cookie.read(value, NOW_MS));
  assert.equal(cookie.read(value, NOW_MS + HOUR_MS + 1_000), undefined, "also one that was known as good");
});

test("a cookie is written anew when half of its time is over, and after its key was replaced", () => {
  const before = cookieOf(poolWith({ keys: [{ id: "k1", secret: "an old secret" }] }));
  const value = cookieValue(before.write(backendAt(1), true, NOW_MS));
  assert.equal(before.read(value, NOW_MS + HOUR_MS / 2 - 1_000)?.isOld, false);
  assert.equal(before.read(value, NOW_MS + HOUR_MS / 2 + 1_000)?.isOld, true);
  const keys = [
    { id: "k2", secret: "a new secret" },
    { id: "k1", secret: "an old secret" },
  ];
  assert.deepEqual(cookieOf(poolWith({ keys })).read(value, NOW_MS), { backend: "10.0.0.1:80", isOld: true });
});

const stripped: readonly (readonly [string[], string[]])[] = [
  [["cookie", "RHUMB=x"], []],
  [
    ["cookie", "a=1; RHUMB=x; b=2"],
    ["cookie", "a=1; b=2"],
  ],
  [
    ["cookie", "RHUMB=x; b=2"],
    ["cookie", "b=2"],
  ],
  [
    ["cookie", "a=1;RHUMB=x"],
    ["cookie", "a=1"],
  ],
  [
    ["cookie", "a=1; RHUMB=x", "accept", "*/*", "cookie", "RHUMB=y"],
    ["cookie", "a=1", "accept", "*/*"],
  ],
  [
    ["cookie", "XRHUMB=x; RHUMBX=y; v=RHUMB=z"],
    ["cookie", "XRHUMB=x; RHUMBX=y; v=RHUMB=z"],
  ],
  [
    ["cookie", "RHUMB =x; a=1"],
    ["cookie", "a=1"],
  ],
];
for (const [fields, expected] of stripped)
  test(`stripCookie() of ${fields.join(" ")}`, () => {
    stripCookie(fields, "RHUMB");
    assert.deepEqual(fields, expected);
  });
