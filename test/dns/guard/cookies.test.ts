import assert from "node:assert/strict";
import test from "node:test";
import { parseIp } from "#base/ip.ts";
import { createCookies } from "#dns/guard/cookies.ts";
import { COOKIE } from "#state/guard.ts";
import { type Client, createClient } from "#state/respond.ts";

const hex = (text: string) => Uint8Array.from(Buffer.from(text, "hex"));

function clientAt(text: string): Client {
  const client = createClient();
  const bytes = parseIp(text)!;
  client.address.set(bytes);
  client.isIpv6 = bytes.length === 16;
  return client;
}

/** RFC 9018, Appendix A. */
const RFC_9018 = [
  {
    name: "A.1 learns a new server cookie",
    from: "198.51.100.100",
    secrets: ["e5e973e5a6b2a43f48e7dc849e37bfcf"],
    query: "2464c4abcf10c957",
    now: 1_559_731_985,
    verdict: COOKIE.fresh,
    answer: "2464c4abcf10c957010000005cf79f111f8130c3eee29480",
  },
  {
    name: "A.2 makes a cookie of 40 minutes anew",
    from: "198.51.100.100",
    secrets: ["e5e973e5a6b2a43f48e7dc849e37bfcf"],
    query: "2464c4abcf10c957010000005cf79f111f8130c3eee29480",
    now: 1_559_734_385,
    verdict: COOKIE.valid,
    answer: "2464c4abcf10c957010000005cf7a871d4a564a1442aca77",
  },
  {
    name: "A.3 hashes the reserved octets as they came, and clears them when it makes the cookie anew",
    from: "203.0.113.203",
    secrets: ["e5e973e5a6b2a43f48e7dc849e37bfcf"],
    query: "fc93fc62807ddb8601abcdef5cf78f71a314227b6679ebf5",
    now: 1_559_730_000,
    verdict: COOKIE.valid,
    answer: undefined,
  },
  {
    name: "A.4 accepts the previous secret over IPv6 and signs with the new one",
    from: "2001:db8:220:1:59de:d0f4:8769:82b8",
    secrets: ["445536bcd2513298075a5d379663c962", "dd3bdf9344b678b185a6f5cb60fca715"],
    query: "22681ab97d52c298010000005cf7c57926556bd0934c72f8",
    now: 1_559_741_961,
    verdict: COOKIE.valid,
    answer: "22681ab97d52c298010000005cf7c609a6bb79d16625507a",
  },
];

for (const { name, from, secrets, query, now, verdict, answer } of RFC_9018) {
  test(`createCookies() RFC 9018 ${name}`, () => {
    const cookies = createCookies(secrets.map(hex));
    const message = hex(`ffff${query}`);
    const client = clientAt(from);
    assert.equal(cookies.check(message, 2, message.length - 2, client, now * 1_000), verdict);
    const out = new Uint8Array(30).fill(0xee);
    cookies.write(message, 2, client, now * 1_000, verdict, out, 3);
    const made = Buffer.from(out.subarray(3, 27)).toString("hex");
    assert.equal(made.slice(0, 24), `${query.slice(0, 16)}01000000`);
    if (answer !== undefined) assert.equal(made, answer);
    assert.deepEqual([out[2], out[27]], [0xee, 0xee]);
  });
}

const SECRET = hex("e5e973e5a6b2a43f48e7dc849e37bfcf");
const VALID = "2464c4abcf10c957010000005cf79f111f8130c3eee29480";
const MADE_AT = 1_559_731_985;
for (const { name, cookie = VALID, from = "198.51.100.100", now = MADE_AT, verdict } of [
  { name: "accepts a cookie of exactly one hour", now: MADE_AT + 3_600, verdict: COOKIE.valid },
  { name: "refuses a cookie older than one hour", now: MADE_AT + 3_601, verdict: COOKIE.bad },
  { name: "accepts a cookie five minutes ahead", now: MADE_AT - 300, verdict: COOKIE.valid },
  { name: "refuses a cookie more than five minutes ahead", now: MADE_AT - 301, verdict: COOKIE.bad },
  { name: "refuses a cookie made for another address", from: "198.51.100.101", verdict: COOKIE.bad },
  { name: "refuses another version", cookie: VALID.replace("c95701", "c95702"), verdict: COOKIE.bad },
  { name: "refuses a changed hash", cookie: VALID.replace(/80$/, "81"), verdict: COOKIE.bad },
  { name: "refuses a server cookie that is not of our length", cookie: `${VALID}00`, verdict: COOKIE.bad },
  { name: "takes 16 octets for a foreign cookie", cookie: VALID.slice(0, 32), verdict: COOKIE.bad },
  { name: "takes 40 octets for a foreign cookie", cookie: VALID.padEnd(80, "0"), verdict: COOKIE.bad },
  { name: "calls 41 octets malformed", cookie: VALID.padEnd(82, "0"), verdict: COOKIE.malformed },
  { name: "calls 15 octets malformed", cookie: VALID.slice(0, 30), verdict: COOKIE.malformed },
  { name: "calls 9 octets malformed", cookie: VALID.slice(0, 18), verdict: COOKIE.malformed },
  { name: "calls 7 octets malformed", cookie: VALID.slice(0, 14), verdict: COOKIE.malformed },
  { name: "calls an empty option malformed", cookie: "", verdict: COOKIE.malformed },
]) {
  test(`Cookies.check() ${name}`, () => {
    const message = hex(cookie);
    assert.equal(createCookies([SECRET]).check(message, 0, message.length, clientAt(from), now * 1_000), verdict);
  });
}

test("Cookies.write() sends a young valid cookie back as it came", () => {
  const cookies = createCookies([SECRET]);
  const message = hex(VALID);
  const client = clientAt("198.51.100.100");
  const now = (MADE_AT + 1_800) * 1_000;
  const verdict = cookies.check(message, 0, 24, client, now);
  const out = new Uint8Array(24);
  cookies.write(message, 0, client, now, verdict, out, 0);
  assert.equal(Buffer.from(out).toString("hex"), VALID);
});

test("Cookies.write() makes a cookie that the other node with the same secret accepts", () => {
  const client = clientAt("2001:db8::1");
  const message = hex("0102030405060708");
  const out = new Uint8Array(24);
  createCookies([SECRET]).write(message, 0, client, 2 ** 31 * 1_000 + 5_000, COOKIE.fresh, out, 0);
  const other = createCookies([hex("00".repeat(16)), SECRET]);
  assert.equal(other.check(out, 0, 24, client, 2 ** 31 * 1_000 + 6_000), COOKIE.valid);
});
