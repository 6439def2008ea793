/** A responder over zones written as text, a steering that does as it is told, and questions to it. For tests. */
import assert from "node:assert/strict";
import { STEERED, type SteerClient, type Steering } from "#dns/answer/steering.ts";
import { createResponder, type ResponderOptions } from "#dns/respond.ts";
import { type DecodedMessage, type DecodedRecord, decodeMessage } from "#dns/wire/decode-message.ts";
import { OPTION } from "#dns/wire/edns.ts";
import { encodeQuery, type QueryOptions } from "#dns/wire/encode-query.ts";
import { formatName, parseName } from "#dns/wire/name.ts";
import { rcodeText } from "#dns/wire/rcodes.ts";
import { formatRdata } from "#dns/wire/rdata/table.ts";
import { typeNumber, typeText } from "#dns/wire/types.ts";
import { buildZone } from "#dns/zone/build.ts";
import { parseZone } from "#dns/zone/parse.ts";
import { createCounterSlots, DNS_COUNTER, DNS_COUNTERS, type DnsCounter } from "#state/counters.ts";
import { ADMIT, COOKIE, COOKIE_OCTETS, type Guard, LIMIT } from "#state/guard.ts";
import { type Client, createClient, TRANSPORT } from "#state/respond.ts";
import type { ZoneImage } from "#state/zone-image.ts";

export const NOW_MS = 1_800_000_000_000;
const SEED = 0x1234;

export function nameOf(text: string): Uint8Array {
  const name = parseName(text);
  assert.ok(typeof name !== "number", `${text} is a name`);
  return name;
}

/** Zone from text; its apex is the owner of the first SOA. */
export function zoneOf(text: string, seed = SEED): ZoneImage {
  const { records, problems, origin } = parseZone(text, { file: "test.zone", defaultTtlSeconds: 300 });
  assert.deepEqual(problems, []);
  return buildZone(records, [...records].find((record) => record.type === 6)?.owner ?? origin!, {
    file: "test.zone",
    seed,
  });
}

/** Service "both" has A and AAAA, "four" only A, "two" two A, "none" has no address just now, "sick" fails. */
export function createFakeSteering(): Steering & { readonly asked: SteerClient[]; throws: boolean } {
  const names = ["both", "four", "two", "none", "sick"];
  const a = (last: number) => [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 198, 51, 100, last];
  const aaaa = [0xc0, 12, 0, 28, 0, 1, 0, 0, 0, 0, 0, 16, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];
  const asked: SteerClient[] = [];
  const steering = {
    asked,
    throws: false,
    serviceNumber: (name: string) => names.indexOf(name),
    hasType: (service: number, qtype: number) => qtype === 1 || names[service] === "both",
    ttlMaxSeconds: () => 30,
    ttlMinSeconds: () => 15,
    resolve(
      service: number,
      qtype: number,
      client: SteerClient,
      _nowMs: number,
      into: Parameters<Steering["resolve"]>[4],
    ) {
      if (steering.throws) throw new Error("injected");
      asked.push({ ...client, address: client.address.slice(), source: client.source.slice() });
      const octets = qtype === 28 ? aaaa : names[service] === "two" ? [...a(1), ...a(2)] : a(1);
      into.status = names[service] === "none" ? STEERED.nodata : names[service] === "sick" ? STEERED.servfail : 0;
      into.records = Uint8Array.from(octets);
      into.stride = qtype === 28 ? 28 : 16;
      into.count = octets.length / into.stride;
      into.ttlSeconds = 27;
      into.scopeBits = client.hasEcs ? 21 : 0;
      into.isFailOpen = false;
    },
  };
  return steering;
}

/** Allows everything; cookies of 8 octets are fresh, of 24 valid, of 16 bad, others malformed. Fields may be set. */
function createFakeGuard(): Guard & {
  admits: 0 | 1 | 2;
  limits: 0 | 1 | 2 | 3;
  hasCookies: boolean;
  limited: number[][];
} {
  const guard = {
    admits: ADMIT.allow as 0 | 1 | 2,
    limits: LIMIT.send as 0 | 1 | 2 | 3,
    hasCookies: true,
    limited: [] as number[][],
    admit: () => guard.admits,
    cookie(_message: Uint8Array, _at: number, length: number) {
      if (!guard.hasCookies) return COOKIE.ignored;
      if (length === 8) return COOKIE.fresh;
      return length === COOKIE_OCTETS ? COOKIE.valid : length === 16 ? COOKIE.bad : COOKIE.malformed;
    },
    writeCookie(
      message: Uint8Array,
      at: number,
      _client: Client,
      _nowMs: number,
      _verdict: number,
      out: Uint8Array,
      outAt: number,
    ) {
      for (let index = 0; index < 8; index++) out[outAt + index] = message[at + index]!;
      for (let index = 8; index < COOKIE_OCTETS; index++) out[outAt + index] = 0xcc;
    },
    limit(_client: Client, nameHash: number, kind: number, responseOctets: number, requestOctets: number) {
      if (guard.limited.length < 100) guard.limited.push([nameHash, kind, responseOctets, requestOctets]);
      return guard.limits;
    },
  };
  return guard;
}

export type Server = ReturnType<typeof serverOf>;

export function serverOf(
  zones: readonly (string | ZoneImage)[],
  more: Partial<ResponderOptions["snapshot"]> & { keepsTemplates?: boolean; answersDirectly?: boolean } = {},
) {
  const steering = createFakeSteering();
  const guard = createFakeGuard();
  const counters = createCounterSlots(DNS_COUNTERS.length);
  const { keepsTemplates = true, answersDirectly = keepsTemplates, ...snapshot } = more;
  const respond = createResponder({
    snapshot: {
      zones: zones.map((zone) => (typeof zone === "string" ? zoneOf(zone) : zone)),
      unloadableZones: [],
      nsid: new Uint8Array(0),
      chaos: { version: undefined, id: undefined },
      ecs: true,
      tcp: { idleMs: 10_000 },
      ...snapshot,
    },
    steering,
    guard,
    counters,
    clock: { nowMs: () => NOW_MS },
    keepsTemplates,
    answersDirectly,
  });
  const client = createClient();
  client.address.set([192, 0, 2, 53]);
  client.port = 5353;
  return {
    respond,
    steering,
    guard,
    client,
    counters,
    count: (counter: DnsCounter) => counters[DNS_COUNTER[counter]]!,
    /** Sends octets. @returns the response's, or undefined when there is none */
    send(request: Uint8Array, from: Partial<Client> = {}): Uint8Array | undefined {
      const out = new Uint8Array(from.transport === TRANSPORT.tcp ? 65_535 : 1_232);
      const length = respond(request, request.length, { ...client, ...from }, out);
      return length === 0 ? undefined : out.slice(0, length);
    },
    ask(name: string, type: string | number, options: QueryOptions = {}, from: Partial<Client> = {}): Answer {
      const number = typeof type === "number" ? type : typeNumber(type);
      return answerOf(this.send(encodeQuery(nameOf(name), number, { edns: {}, ...options }), from));
    },
  };
}

export type Answer = ReturnType<typeof answerOf>;

/** A response as text; it must be well-formed. */
export function answerOf(octets: Uint8Array | undefined) {
  assert.ok(octets !== undefined, "there is a response");
  const message = decodeMessage(octets);
  assert.ok(typeof message !== "number", `the response is well-formed (fault ${message})`);
  return {
    octets,
    message,
    rcode: rcodeText(message.rcode),
    aa: message.isAuthoritative,
    tc: message.isTruncated,
    answer: message.answer.map(textOf),
    authority: message.authority.map(textOf),
    additional: message.additional.filter((record) => record !== message.opt).map(textOf),
    options: optionsOf(message),
    ede: optionsOf(message)
      .filter((option) => option.code === OPTION.EXTENDED_ERROR)
      .map((option) => (option.data[0]! << 8) | option.data[1]!)[0],
  };
}

export const textOf = (record: DecodedRecord): string =>
  `${formatName(record.owner)} ${record.ttlSeconds} ${typeText(record.type)} ${formatRdata(record.type, record.rdata)}`;

export function optionsOf(message: DecodedMessage): { code: number; data: Uint8Array }[] {
  const options = [];
  const rdata = message.opt?.rdata ?? new Uint8Array(0);
  for (let at = 0; at < rdata.length; ) {
    const length = (rdata[at + 2]! << 8) | rdata[at + 3]!;
    options.push({ code: (rdata[at]! << 8) | rdata[at + 1]!, data: rdata.slice(at + 4, at + 4 + length) });
    at += 4 + length;
  }
  return options;
}

/** The zone that most tests ask. */
export const EXAMPLE = `$ORIGIN example.
@ 3600 SOA ns1 hostmaster 7 3600 600 86400 60
@ 3600 NS ns1
ns1 300 A 192.0.2.1
ns1 300 AAAA 2001:db8::1
www 300 A 192.0.2.10
www 300 A 192.0.2.11
www 300 TXT "hello"
mail 300 MX 10 mx1
mail 300 MX 20 mx2.elsewhere.test.
mx1 300 A 192.0.2.20
srv 300 SRV 1 2 53 mx1
odd 300 TYPE65280 \\# 3 010203
alias 300 CNAME www
alias2 300 CNAME alias
away 300 CNAME www.elsewhere.test.
dangling 300 CNAME nowhere
loop1 300 CNAME loop2
loop2 300 CNAME loop1
self 300 CNAME self
to-child 300 CNAME host.child
a.ent 300 A 192.0.2.30
*.wild 300 A 192.0.2.40
*.wild 300 MX 5 mx1
b.ent.wild 300 A 192.0.2.41
*.walias 300 CNAME www
child 300 NS ns1.child
child 300 NS ns.sibling
child 300 NS ns1
child 300 NS ns.elsewhere.test.
child 300 DS 1 13 2 0000000000000000000000000000000000000000000000000000000000000000
ns1.child 300 A 192.0.2.50
ns1.child 300 AAAA 2001:db8::50
sibling 300 NS ns.sibling
ns.sibling 300 A 192.0.2.60
old 300 DNAME new
x.new 300 A 192.0.2.70
steered 30 STEER both
v4only 30 STEER four
pair 30 STEER two
empty 30 STEER none
sick 30 STEER sick
lost 30 STEER no-such-service
*.anycast 30 STEER both
to-steered 300 CNAME steered
to-empty 300 CNAME empty
apexlike 120 ALIAS www
apexlike 120 TXT "alias"
alias-steered 300 ALIAS steered
alias-nowhere 300 ALIAS nowhere
`;
