/**
 * What every transport does, whatever it is made of: one suite, run against each (UDP and TCP, IPv4 and IPv6, and
 * engines to come).
 * @module
 */
import assert from "node:assert/strict";
import test from "node:test";
import { formatIp } from "#base/ip.ts";
import { createSeededRng } from "#base/rng.ts";
import { createCounterSlots, DNS_COUNTERS } from "#state/counters.ts";
import { type Respond, TRANSPORT } from "#state/respond.ts";

/** A running transport and a client of it that shares no code with it. */
export type TransportUnderTest = {
  readonly address: string;
  readonly kind: (typeof TRANSPORT)[keyof typeof TRANSPORT];
  /** Largest response that the transport carries, in octets. */
  readonly maxOctets: number;
  /** Sends each message from one socket, and resolves with the responses in the order in which they came. */
  ask(messages: readonly Uint8Array[], responses: number): Promise<{ responses: Buffer[]; clientPort: number }>;
  close(): Promise<void>;
};
export type OpenTransport = (options: { respond: Respond; counters: Float64Array }) => Promise<TransportUnderTest>;

const query = (id: number, ...octets: number[]) => {
  const message = new Uint8Array(12 + octets.length);
  message[0] = id >>> 8;
  message[1] = id;
  message.set(octets, 12);
  return message;
};
const reverse: Respond = (request, length, _client, out) => {
  for (let index = 0; index < length; index++) out[index] = request[length - 1 - index]!;
  return length;
};

export function dnsTransportContract(name: string, open: OpenTransport): void {
  const run = async (
    respond: Respond,
    body: (transport: TransportUnderTest, counters: Float64Array) => Promise<void>,
  ) => {
    const counters = createCounterSlots(DNS_COUNTERS.length);
    const transport = await open({ respond, counters });
    try {
      await body(transport, counters);
    } finally {
      await transport.close();
    }
  };

  test(`${name} hands the message over and the response back, octet by octet`, () =>
    run(reverse, async (transport) => {
      const message = query(0x1234, ...Array.from({ length: 256 }, (_, index) => index));
      const { responses } = await transport.ask([message], 1);
      assert.deepEqual(responses, [Buffer.from(message).reverse()]);
    }));

  test(`${name} says who asks`, async () => {
    const seen: { address: string; port: number; transport: number }[] = [];
    const note: Respond = (request, length, client, out) => {
      const address = formatIp(client.address.slice(0, client.isIpv6 ? 16 : 4));
      seen.push({ address, port: client.port, transport: client.transport });
      return reverse(request, length, client, out);
    };
    await run(note, async (transport) => {
      const { clientPort } = await transport.ask([query(1)], 1);
      assert.deepEqual(seen, [{ address: transport.address, port: clientPort, transport: transport.kind }]);
    });
  });

  test(`${name} sends nothing beyond the length that the responder names`, () =>
    run(
      (_request, _length, _client, out) => {
        out.fill(0xee);
        return 12;
      },
      async (transport) => {
        const { responses } = await transport.ask([query(1, 1, 2, 3)], 1);
        assert.deepEqual(responses, [Buffer.alloc(12, 0xee)]);
      },
    ));

  test(`${name} carries the largest response, and a short one right after it`, () =>
    run(
      (request, _length, _client, out) => {
        const length = request[1] === 1 ? (transportMax(request) ?? 12) : 12;
        out.fill(request[1]!, 0, length);
        return length;
      },
      async (transport) => {
        const first = query(1, transport.maxOctets >>> 8, transport.maxOctets & 0xff);
        const { responses } = await transport.ask([first, query(2)], 2);
        const sizes = responses.map((response) => response.length).sort((a, b) => b - a);
        assert.deepEqual(sizes, [transport.maxOctets, 12]);
        for (const response of responses) assert.ok(response.every((octet) => octet === response[0]));
      },
    ));

  test(`${name} answers each of 500 messages with its own response`, () =>
    run(reverse, async (transport) => {
      const rng = createSeededRng(11);
      const messages = Array.from({ length: 500 }, (_, id) =>
        query(id, ...Array.from({ length: Math.floor(rng() * 300) }, () => Math.floor(rng() * 256))),
      );
      const { responses } = await transport.ask(messages, messages.length);
      const text = (octets: Uint8Array) => Buffer.from(octets).toString("hex");
      const expected = messages.map((message) => text(Buffer.from(message).reverse()));
      assert.deepEqual(responses.map(text).sort(), expected.sort());
    }));

  test(`${name} goes on after a message that gets no answer`, () =>
    run(
      (request, length, client, out) => (request[1] === 1 ? 0 : reverse(request, length, client, out)),
      async (transport) => {
        if (transport.kind === TRANSPORT.udp) {
          const { responses } = await transport.ask([query(1), query(2)], 1);
          assert.equal(responses[0]![11], 0);
          assert.equal(responses[0]![10], 2);
          return;
        }
        await transport.ask([query(1)], 0); // resolves when the connection is closed
        assert.equal((await transport.ask([query(2)], 1)).responses.length, 1);
      },
    ));
}

const transportMax = (request: Uint8Array): number | undefined =>
  request.length < 14 ? undefined : (request[12]! << 8) | request[13]!;
