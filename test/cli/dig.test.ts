/** The little DNS client, against a name server of a few lines with answers made octet by octet. */
import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import test, { type TestContext } from "node:test";
import fc from "fast-check";
import { parseCidr } from "#base/ip.ts";
import { decodeResponse, encodeQuestion } from "#cli/dns-message.ts";
import { parseName } from "#dns/wire/name.ts";
import { rhumb } from "./rhumb.ts";

const hex = (text: string): Buffer => Buffer.from(text.replace(/[^0-9a-f]/gi, ""), "hex");
const name = parseName("www.example.") as Uint8Array;

test("encodeQuestion() makes the octets of RFC 1035, 6891 and 7871", () => {
  const message = encodeQuestion({ id: 0x1234, name, type: 1, subnet: parseCidr("198.51.100.0/24") });
  const expected = hex(`1234 0000 0001 0000 0000 0001  03777777 076578616d706c65 00 0001 0001
    00 0029 04d0 00000000 000b  0008 0007 0001 18 00 c63364`);
  assert.equal(Buffer.from(message).toString("hex"), expected.toString("hex"));
  const bare = encodeQuestion({ id: 1, name, type: 28, subnet: undefined });
  assert.equal(Buffer.from(bare).subarray(-11).toString("hex"), hex("00 0029 04d0 00000000 0000").toString("hex"));
});

/** A CNAME and an MX whose names point into the message, an SOA in authority, and an OPT with ECS, EDE and NSID. */
const RESPONSE = hex(`1234 8580 0001 0002 0001 0001
  03777777 076578616d706c65 00 0001 0001
  c00c 0005 0001 0000001e 0006  03617070 c010
  c029 000f 0001 0000001e 0009  000a 046d61696c c010
  c010 0006 0001 00000e10 0018  c00c c00c 00000007 00000e10 00000258 00093a80 0000003c
  00 0029 04d0 00000000 001c  0008 0007 0001 18 10 c63364  000f 0006 0003 6f6c6421 0003 0003 6e7331`);

test("decodeResponse() expands compressed names and reads EDNS", () => {
  const response = decodeResponse(RESPONSE);
  assert.deepEqual(response.flags, ["qr", "aa", "rd", "ra"]);
  assert.equal(response.rcode, "NOERROR");
  assert.deepEqual(
    response.answer.map(({ owner, type, rdata }) => `${owner} ${type} ${rdata}`),
    ["www.example. CNAME app.example.", "app.example. MX 10 mail.example."],
  );
  assert.equal(response.authority[0]!.rdata, "www.example. www.example. 7 3600 600 604800 60");
  assert.deepEqual(response.edns, {
    payloadOctets: 1232,
    subnet: { network: "198.51.100.0/24", scopeBits: 16 },
    errors: [{ code: 3, says: "old!" }],
    nsid: "ns1",
  });
});

test("decodeResponse() of any octets returns or throws an Error, and ends", () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ at: fc.nat(RESPONSE.length - 1), octet: fc.nat(255) }), { maxLength: 8 }),
      fc.nat(RESPONSE.length),
      (edits, length) => {
        const message = Buffer.from(RESPONSE.subarray(0, length));
        for (const { at, octet } of edits) if (at < length) message[at] = octet;
        try {
          decodeResponse(message);
        } catch (error) {
          assert.ok(error instanceof Error);
          assert.notEqual(error.name, "AssertionError");
        }
      },
    ),
    { numRuns: 2_000, seed: 7 },
  );
});

/** Answers over UDP with TC and over TCP in full: A 192.0.2.1, and the subnet back with scope 24. */
async function nameServer(t: TestContext) {
  const seen: string[] = [];
  const answer = (query: Buffer, isTcp: boolean): Buffer => {
    seen.push(isTcp ? "tcp" : "udp");
    const questionEnd = query.indexOf(0, 12) + 5;
    const opt = Buffer.from(query.subarray(questionEnd));
    if (opt.length > 11) opt[18] = 24;
    const record = hex("c00c 0001 0001 0000001e 0004 c0000201");
    const header = Buffer.from(query.subarray(0, 12));
    header[2] = isTcp ? 0x84 : 0x86;
    header.writeUInt16BE(isTcp ? 1 : 0, 6);
    return Buffer.concat([header, query.subarray(12, questionEnd), ...(isTcp ? [record] : []), opt]);
  };
  const tcp = createServer((socket) => {
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => {
      const response = answer(chunk.subarray(2), true);
      const length = Buffer.alloc(2);
      length.writeUInt16BE(response.length);
      socket.write(Buffer.concat([length, response.subarray(0, 5)])); // in two pieces, as networks do
      setImmediate(() => socket.write(response.subarray(5)));
    });
  }).listen(0, "127.0.0.1");
  await once(tcp, "listening");
  const { port } = tcp.address() as AddressInfo;
  const udp = createSocket("udp4");
  udp.on("message", (query, from) => {
    const other = answer(query, true);
    other[0]! ^= 0xff; // an answer to somebody else comes first
    udp.send(other, from.port, from.address);
    seen.pop();
    udp.send(answer(query, false), from.port, from.address);
  });
  udp.bind(port, "127.0.0.1");
  await once(udp, "listening");
  t.after(() => {
    tcp.close();
    udp.close();
  });
  return { port: String(port), seen };
}

test("dig asks over UDP, goes on over TCP when truncated, and shows the scope", async (t) => {
  const { port, seen } = await nameServer(t);
  const { code, out, err } = await rhumb(["dig", "www.example", "--from", "198.51.100.7", "--port", port]);
  assert.equal(code, 0, err);
  assert.deepEqual(seen, ["udp", "tcp"]);
  for (const line of [
    "; CLIENT-SUBNET: 198.51.100.0/24/24",
    ";www.example.\tIN\tA",
    "www.example.\t30\tIN\tA\t192.0.2.1",
    `;; SERVER: 127.0.0.1#${port} (TCP)`,
  ]) {
    assert.ok(out.split("\n").includes(line), `${line} in:\n${out}`);
  }
});

test("dig --tcp --short prints the data alone; --json all of it", async (t) => {
  const { port, seen } = await nameServer(t);
  assert.equal((await rhumb(["dig", "www.example", "--tcp", "--short", "--port", port])).out, "192.0.2.1\n");
  assert.deepEqual(seen, ["tcp"]);
  const json = JSON.parse(
    (await rhumb(["dig", "www.example", "--tcp", "--json", "--port", port, "--from", "198.51.100.0/24"])).out,
  );
  assert.equal(json.answer[0].rdata, "192.0.2.1");
  assert.equal(json.edns.subnet.scopeBits, 24);
});

test("dig says where no answer came from, and exits 1", async () => {
  const socket = createSocket("udp4");
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  const port = String(socket.address().port);
  socket.close();
  const { code, err } = await rhumb(["dig", "www.example", "--port", port, "--timeout", "500"]);
  assert.equal(code, 1);
  assert.match(err, new RegExp(`No DNS answer came from "127.0.0.1#${port} over UDP \\(refused`));
});
