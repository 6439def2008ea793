/** EDNS options of responses, the guard's verdicts, and what happens when something in here breaks. */
import assert from "node:assert/strict";
import test from "node:test";
import { EDE, OPTION } from "#dns/wire/edns.ts";
import { ecsData, encodeQuery } from "#dns/wire/encode-query.ts";
import { LIMIT, RESPONSE_KIND } from "#state/guard.ts";
import { TRANSPORT } from "#state/respond.ts";
import { answerOf, EXAMPLE, nameOf, serverOf } from "./ask.ts";

const option = (code: number, ...data: number[]) => ({ code, data: Uint8Array.from(data) });
const TCP = { transport: TRANSPORT.tcp };
const COOKIE_8 = [1, 2, 3, 4, 5, 6, 7, 8];

test("OPT says 1232 octets and version 0, copies DO, clears other flags, and echoes no unknown option", () => {
  const query = encodeQuery(nameOf("www.example."), 1, {
    edns: { isDo: true, options: [option(100, 0xde, 0xad), option(65_001)] },
  });
  query[12 + nameOf("www.example.").length + 4 + 7] = 0xff; // all flags
  const { octets } = answerOf(serverOf([EXAMPLE]).send(query));
  assert.deepEqual([...octets.slice(-11)], [0, 0, 41, 4, 208, 0, 0, 0x80, 0, 0, 0]);
});

test("a UDP response stays within what the client takes, 1232 at most and 512 at least", () => {
  const texts = (octets: number) => `${EXAMPLE}t${octets} 60 TXT "${"x".repeat(205)}" "${"y".repeat(octets)}"\n`;
  const server = serverOf([texts(255)]);
  assert.equal(server.ask("t255.example.", "TXT", { edns: undefined }).tc, false, "504 octets");
  const { octets } = server.ask("t255.example.", "TXT");
  for (const payloadOctets of [0, 511, 512, octets.length - 1]) {
    assert.equal(server.ask("t255.example.", "TXT", { edns: { payloadOctets } }).tc, true, `${payloadOctets}`);
  }
  assert.equal(server.ask("t255.example.", "TXT", { edns: { payloadOctets: octets.length } }).tc, false);
});

test("NSID comes back when asked for, whatever the query's option holds (RFC 5001)", () => {
  const server = serverOf([EXAMPLE], { nsid: Uint8Array.of(110, 115, 49) });
  for (const data of [[], [1, 2]]) {
    const { options } = server.ask("www.example.", "A", { edns: { options: [option(OPTION.NSID, ...data)] } });
    assert.deepEqual(options, [{ code: OPTION.NSID, data: Uint8Array.of(110, 115, 49) }]);
  }
  assert.deepEqual(server.ask("www.example.", "A").options, []);
  assert.deepEqual(
    serverOf([EXAMPLE]).ask("www.example.", "A", { edns: { options: [option(OPTION.NSID)] } }).options,
    [],
  );
});

test("keepalive is answered over TCP only, and only when it is empty (RFC 7828)", () => {
  const server = serverOf([EXAMPLE], { tcp: { idleMs: 12_345 } });
  const options = [option(OPTION.TCP_KEEPALIVE)];
  const expected = [{ code: OPTION.TCP_KEEPALIVE, data: Uint8Array.of(0, 123) }];
  assert.deepEqual(server.ask("www.example.", "A", { edns: { options } }, TCP).options, expected);
  assert.deepEqual(server.ask("www.example.", "A", { edns: { options } }).options, []);
  assert.deepEqual(
    server.ask("www.example.", "A", { edns: { options: [option(OPTION.TCP_KEEPALIVE, 0, 1)] } }, TCP).options,
    [],
  );
});

test("extended errors are for queries with OPT, and go first when room is short", () => {
  const server = serverOf([EXAMPLE], { nsid: new Uint8Array(466) });
  assert.equal(server.ask("a.elsewhere.", "A").ede, EDE.NOT_AUTHORITATIVE);
  assert.equal(server.ask("a.elsewhere.", "A", { edns: undefined }).ede, undefined);
  const tight = server.ask("a.elsewhere.", "A", { edns: { payloadOctets: 512, options: [option(OPTION.NSID)] } });
  assert.deepEqual([tight.ede, tight.rcode, tight.tc, tight.options.length], [undefined, "REFUSED", false, 1]);
});

const ecs = (...data: number[]) => ({ edns: { options: [option(OPTION.CLIENT_SUBNET, ...data)] } });
for (const { name, data } of [
  { name: "shorter than four octets", data: [0, 1, 0] },
  { name: "family 0", data: [0, 0, 0, 0] },
  { name: "family 3", data: [0, 3, 8, 0, 10] },
  { name: "family 257", data: [1, 1, 8, 0, 10] },
  { name: "an IPv4 prefix of 33", data: [0, 1, 33, 0, 10, 0, 0, 0, 0] },
  { name: "an IPv6 prefix of 129", data: [0, 2, 129, 0, ...new Array<number>(17).fill(0)] },
  { name: "too few octets of address", data: [0, 1, 24, 0, 10, 0] },
  { name: "too many octets of address", data: [0, 1, 24, 0, 10, 0, 0, 0] },
  { name: "an octet of address for prefix 0", data: [0, 1, 0, 0, 0] },
  { name: "bits behind the prefix", data: [0, 1, 20, 0, 10, 0, 0x1f] },
  { name: "a scope", data: [0, 1, 24, 1, 10, 0, 0] },
]) {
  test(`a client subnet with ${name} is FORMERR, without the option`, () => {
    const { rcode, options } = serverOf([EXAMPLE]).ask("steered.example.", "A", ecs(...data));
    assert.deepEqual([rcode, options], ["FORMERR", []]);
    assert.equal(
      serverOf([EXAMPLE], { ecs: false }).ask("steered.example.", "A", ecs(...data)).rcode,
      "NOERROR",
      "unknown where it is off",
    );
  });
}

test("a client subnet is echoed with the scope of the answer: that of steering, 0 for all else", () => {
  const server = serverOf([EXAMPLE]);
  const data = [0, 1, 20, 0, 10, 1, 0xf0];
  for (const [name, scope] of [
    ["steered.example.", 21],
    ["to-steered.example.", 21],
    ["www.example.", 0],
    ["nowhere.example.", 0],
    ["x.child.example.", 0],
    ["a.elsewhere.", 0],
  ] as const) {
    const { options } = server.ask(name, "A", ecs(...data));
    const subnet = options.find(({ code }) => code === OPTION.CLIENT_SUBNET);
    assert.deepEqual([...subnet!.data], data.with(3, scope), name);
    assert.equal(
      server.ask(name, "A").options.some(({ code }) => code === OPTION.CLIENT_SUBNET),
      false,
    );
  }
  assert.deepEqual(serverOf([EXAMPLE], { ecs: false }).ask("steered.example.", "A", ecs(...data)).options, []);
});

test("steering is told the client subnet and the source, or the source alone", () => {
  const server = serverOf([EXAMPLE]);
  const asked = (data?: Uint8Array, from = {}) => {
    server.ask("steered.example.", "A", data ? ecs(...data) : {}, from);
    return server.steering.asked.at(-1)!;
  };
  const v4 = asked(ecsData(Uint8Array.of(203, 0, 113, 200), 25));
  assert.deepEqual(
    [v4.hasEcs, v4.isIpv6, v4.ecsBits, [...v4.address.slice(0, 4)]],
    [true, false, 25, [203, 0, 113, 128]],
  );
  assert.deepEqual([v4.isSourceIpv6, [...v4.source.slice(0, 4)]], [false, [192, 0, 2, 53]]);
  const six = Uint8Array.from({ length: 16 }, (_, index) => 0x20 + index);
  const v6 = asked(ecsData(six, 48));
  assert.deepEqual([v6.hasEcs, v6.isIpv6, v6.ecsBits], [true, true, 48]);
  assert.deepEqual([...v6.address], [...six.slice(0, 6), ...new Array<number>(10).fill(0)]);
  const short = asked(ecsData(Uint8Array.of(203, 0, 113, 0), 8));
  assert.deepEqual([...short.address.slice(0, 4)], [203, 0, 0, 0], "nothing of the one before is left");
  const zero = asked(Uint8Array.of(0, 2, 0, 0));
  assert.deepEqual(
    [zero.hasEcs, zero.isIpv6, zero.ecsBits, [...zero.address.slice(0, 4)]],
    [true, false, 0, [192, 0, 2, 53]],
  );
  const none = asked(undefined, { address: six, isIpv6: true });
  assert.deepEqual([none.hasEcs, none.isIpv6, none.ecsBits, [...none.address]], [false, true, 0, [...six]]);
});

test("a cookie comes back in full; one of a wrong length is FORMERR; only the first counts", () => {
  const server = serverOf([EXAMPLE]);
  const cookie = (...data: number[]) => ({
    edns: { options: [option(OPTION.COOKIE, ...data), option(OPTION.COOKIE, 1)] },
  });
  const { rcode, options } = server.ask("www.example.", "A", cookie(...COOKIE_8));
  assert.equal(rcode, "NOERROR");
  assert.deepEqual(options, [
    { code: OPTION.COOKIE, data: Uint8Array.from([...COOKIE_8, ...new Array<number>(16).fill(0xcc)]) },
  ]);
  const bad = server.ask("www.example.", "A", cookie(1, 2, 3));
  assert.deepEqual([bad.rcode, bad.options], ["FORMERR", []]);
  server.guard.hasCookies = false;
  assert.deepEqual(server.ask("www.example.", "A", cookie(...COOKIE_8)).options, []);
});

test("the guard's access list drops silently or refuses with extended error 18", () => {
  const server = serverOf([EXAMPLE]);
  server.guard.admits = 2;
  const { rcode, ede, message } = server.ask("www.example.", "A");
  assert.deepEqual([rcode, ede, message.questions.length, message.answer.length], ["REFUSED", 18, 1, 0]);
  server.guard.admits = 0;
  assert.equal(server.send(encodeQuery(nameOf("www.example."), 1)), undefined);
});

test("the guard's limit drops, truncates, or asks for a cookie; over TCP it is not asked", () => {
  const server = serverOf([EXAMPLE]);
  const options = { edns: { options: [option(OPTION.COOKIE, ...COOKIE_8)] } };
  server.guard.limits = LIMIT.drop;
  assert.equal(server.send(encodeQuery(nameOf("www.example."), 1)), undefined);
  assert.equal(server.ask("www.example.", "A", {}, TCP).answer.length, 2);
  server.guard.limits = LIMIT.truncate;
  const slip = server.ask("nowhere.example.", "A", options);
  assert.deepEqual([slip.tc, slip.rcode, slip.authority.length, slip.options.length], [true, "NOERROR", 0, 1]);
  server.guard.limits = LIMIT.badCookie;
  const bad = server.ask("www.example.", "A", options);
  assert.deepEqual(
    [bad.rcode, bad.tc, bad.aa, bad.answer.length, bad.options[0]!.data.length],
    ["BADCOOKIE", false, false, 0, 24],
  );
});

test("the guard is told what kind of response it is; random names of a zone share a hash", () => {
  const server = serverOf([EXAMPLE]);
  const told = (name: string, type = "A") => {
    const { octets } = server.ask(name, type);
    const [hash, kind, responseOctets] = server.guard.limited.at(-1)!;
    assert.equal(responseOctets, octets.length);
    return { hash, kind };
  };
  const kind = RESPONSE_KIND;
  assert.equal(told("www.example.").kind, kind.answer);
  assert.equal(told("steered.example.").kind, kind.answer);
  assert.equal(told("www.example.", "AAAA").kind, kind.nodata);
  assert.equal(told("x.child.example.").kind, kind.referral);
  assert.equal(told("a.elsewhere.").kind, kind.error);
  assert.deepEqual(told("r1.example."), { hash: told("r2.example.").hash, kind: kind.nxdomain });
  assert.notEqual(told("www.example.").hash, told("mx1.example.").hash);
});

test("a fault inside is SERVFAIL with the question, counted, and the next query is served", () => {
  for (const inject of ["steering", "guard", "cookie", "limit", "admit"] as const) {
    const server = serverOf([EXAMPLE]);
    const fail = () => {
      throw new Error("injected");
    };
    const kept = { ...server.guard };
    if (inject === "steering") server.steering.throws = true;
    else if (inject === "guard") Object.assign(server.guard, { writeCookie: fail });
    else Object.assign(server.guard, { [inject]: fail });
    const query = encodeQuery(nameOf("steered.example."), 1, {
      id: 77,
      isRd: true,
      edns: { options: [option(OPTION.COOKIE, ...COOKIE_8)] },
    });
    const { message, rcode, octets } = answerOf(server.send(query));
    assert.deepEqual([rcode, message.id, message.isRd, message.answer.length], ["SERVFAIL", 77, true, 0], inject);
    assert.equal(octets.length, inject === "admit" ? 12 : 12 + nameOf("steered.example.").length + 4);
    assert.equal(server.count("handler_faults"), 1);
    server.steering.throws = false;
    Object.assign(server.guard, kept);
    assert.equal(answerOf(server.send(query)).rcode, "NOERROR");
    assert.equal(server.count("handler_faults"), 1);
  }
});

test("a fault before the parser says nothing of an earlier query", () => {
  const server = serverOf([EXAMPLE]);
  server.ask("www.example.", "A");
  Object.assign(server.guard, {
    admit() {
      throw new Error("injected");
    },
  });
  const { octets, rcode } = answerOf(server.send(encodeQuery(nameOf("steered.example."), 1)));
  assert.deepEqual([rcode, octets.length], ["SERVFAIL", 12]);
});

test("counters tell transports, types, options and RCODEs apart", () => {
  const server = serverOf([EXAMPLE]);
  server.ask("www.example.", "A", ecs(0, 1, 8, 0, 10));
  server.ask("nowhere.example.", "AAAA", { edns: undefined }, TCP);
  server.ask("a.elsewhere.", "TXT", {}, { isIpv6: true, address: new Uint8Array(16) });
  for (const [counter, expected] of [
    ["queries_udp", 2],
    ["queries_tcp", 1],
    ["queries_ipv6", 1],
    ["queries_edns", 2],
    ["queries_ecs", 1],
    ["qtype_a", 1],
    ["qtype_aaaa", 1],
    ["qtype_txt", 1],
    ["qtype_other", 0],
    ["rcode_noerror", 1],
    ["rcode_nxdomain", 1],
    ["rcode_refused", 1],
  ] as const) {
    assert.equal(server.count(counter), expected, counter);
  }
  assert.ok(server.count("response_octets") > 100);
});
