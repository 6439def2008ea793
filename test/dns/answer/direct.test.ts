/**
 * The one pass for the usual query gives, octet for octet, what the steps give. Guard and steering are asked the same, as
 * often, and the counters agree.
 */
import assert from "node:assert/strict";
import test from "node:test";
import { createSeededRng } from "#base/rng.ts";
import { OPTION } from "#dns/wire/edns.ts";
import { ecsData, encodeQuery } from "#dns/wire/encode-query.ts";
import { ADMIT, LIMIT } from "#state/guard.ts";
import { type Client, createClient, TRANSPORT } from "#state/respond.ts";
import { EXAMPLE, nameOf, serverOf } from "./ask.ts";

const QUERIES = 60_000;
const MUTATED_SHARE = 0.3;
const LIMITED_SHARE = 0.05;

const ZONE = `${EXAMPLE}
both 30 STEER both
four 30 STEER four
two 30 STEER two
none 30 STEER none
sick 30 STEER sick
lost 30 STEER nowhere
both 300 TXT "beside a service"
twofold 300 CNAME www
twofold 300 TXT "beside a CNAME, where nothing may be"
own 300 DS 3 13 2 ${"cd".repeat(32)}
own 300 NS ns1.own
large 300 TXT ${Array.from({ length: 4 }, () => `"${"t".repeat(250)}"`).join(" ")}
many 300 A 192.0.2.1
${Array.from({ length: 60 }, (_, index) => `many 300 A 192.0.3.${index}`).join("\n")}
`;
/** A zone below the first one, with a DS at its apex that nobody may be given: the parent's counts. */
const CHILD = `$ORIGIN own.example.
@ 300 SOA ns1 hostmaster 1 3600 600 86400 60
@ 300 NS ns1
@ 300 DS 4 13 2 ${"ef".repeat(32)}
ns1 300 A 192.0.2.77
`;
const NAMES = [
  "ns1.child",
  "twofold",
  "own",
  "ns1.own",
  ...["www", "mail", "odd", "alias", "x.wild", "nowhere", "ns1", "child", "x.child", "a.ent", "ent", "large", "many"],
  ...["both", "four", "two", "none", "sick", "lost", "both", "two", "www", "@"],
];
const TYPES = [1, 1, 1, 28, 16, 15, 2, 6, 43, 255, 65_280, 257, 128, 250, 41, 0];

type Rng = () => number;
const pick = <T>(rng: Rng, from: readonly T[]): T => from[Math.floor(rng() * from.length)]!;
const octetsOf = (rng: Rng, count: number) => Uint8Array.from({ length: count }, () => Math.floor(rng() * 256));

function randomOptions(rng: Rng): { code: number; data: Uint8Array }[] {
  const subnet = () =>
    rng() < 0.8
      ? ecsData(octetsOf(rng, 4), Math.floor(rng() * 33))
      : ecsData(octetsOf(rng, 16), Math.floor(rng() * 129));
  const kind = rng();
  if (kind < 0.3) return [];
  if (kind < 0.7) return [{ code: OPTION.CLIENT_SUBNET, data: subnet() }];
  const others = [OPTION.CLIENT_SUBNET, OPTION.COOKIE, OPTION.NSID, OPTION.TCP_KEEPALIVE, OPTION.PADDING, 65_001];
  return Array.from({ length: 1 + Math.floor(rng() * 3) }, () => {
    const code = pick(rng, others);
    if (code === OPTION.CLIENT_SUBNET)
      return { code, data: rng() < 0.7 ? subnet() : octetsOf(rng, Math.floor(rng() * 24)) };
    if (code === OPTION.COOKIE) return { code, data: octetsOf(rng, pick(rng, [8, 16, 24, 5])) };
    return { code, data: octetsOf(rng, Math.floor(rng() * 5)) };
  });
}

function randomQuery(rng: Rng): Uint8Array {
  const name = pick(rng, NAMES);
  const edns =
    rng() < 0.75
      ? { options: randomOptions(rng), isDo: rng() < 0.3, payloadOctets: pick(rng, [0, 512, 600, 1_232, 4_096]) }
      : undefined;
  const query = encodeQuery(nameOf(name === "@" ? "example." : `${name}.example.`), pick(rng, TYPES), {
    id: Math.floor(rng() * 65_536),
    edns,
  });
  for (let at = 13; at < query.length && query[at] !== 0; at++) {
    if (query[at]! >= 0x61 && query[at]! <= 0x7a && rng() < 0.3) query[at]! ^= 0x20;
  }
  if (rng() < 0.2) query[2]! |= 1; // RD
  if (rng() < 0.2) query[3]! |= 0x10; // CD
  if (rng() >= MUTATED_SHARE) return query;
  const mutated = rng() < 0.3 ? query.slice(0, Math.floor(rng() * (query.length + 1))) : query;
  for (let count = Math.floor(rng() * 3); count > 0 && mutated.length > 0; count--) {
    mutated[Math.floor(rng() * mutated.length)] = Math.floor(rng() * 256);
  }
  return rng() < 0.1 ? Uint8Array.from([...mutated, 0]) : mutated;
}

for (const ecs of [true, false]) {
  test(`the one pass and the steps give the same octets${ecs ? "" : ", where client subnets are not heeded"}`, () => {
    const rng = createSeededRng(ecs ? 41 : 42);
    const options = { ecs, nsid: Uint8Array.of(1, 2, 3) };
    const stepwise = serverOf([ZONE, CHILD], { ...options, answersDirectly: false });
    const direct = serverOf([ZONE, CHILD], options);
    const servers = [stepwise, direct];
    const kinds = new Map<string, number>();
    for (let index = 0; index < QUERIES; index++) {
      const query = randomQuery(rng);
      const client: Client = {
        ...createClient(),
        address: octetsOf(rng, 16),
        isIpv6: rng() < 0.3,
        port: pick(rng, [5_353, 5_353, 53, 19, 0]),
        transport: rng() < 0.9 ? TRANSPORT.udp : TRANSPORT.tcp,
      };
      const limits = rng() < LIMITED_SHARE ? pick(rng, [LIMIT.drop, LIMIT.truncate, LIMIT.badCookie]) : LIMIT.send;
      const admits = rng() < 0.03 ? pick(rng, [ADMIT.drop, ADMIT.refuse]) : ADMIT.allow;
      const throws = rng() < 0.01;
      for (const { guard, steering } of servers) {
        Object.assign(guard, { limits, admits, limited: [] });
        Object.assign(steering, { throws });
        steering.asked.length = 0;
      }
      const where = `query ${index}: ${Buffer.from(query).toString("hex")}`;
      const expected = stepwise.send(query, client);
      assert.deepEqual(direct.send(query, client), expected, where);
      assert.deepEqual(direct.guard.limited, stepwise.guard.limited, where);
      assert.deepEqual(direct.steering.asked, stepwise.steering.asked, where);
      const kind =
        expected === undefined ? "nothing" : `${expected[3]! & 15}, ${expected[7]! > 0}, TC ${(expected[2]! & 2) >> 1}`;
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    }
    assert.deepEqual(direct.counters, stepwise.counters);
    for (const kind of [
      "0, true, TC 0",
      "0, false, TC 0",
      "0, false, TC 1",
      "3, false, TC 0",
      "1, false, TC 0",
      "nothing",
    ]) {
      assert.ok((kinds.get(kind) ?? 0) > QUERIES / 500, `${kind} is among the answers: ${JSON.stringify([...kinds])}`);
    }
  });
}
