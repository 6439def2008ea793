/**
 * The AF_XDP transport on a real driver: our program and socket at one end of a veth pair, ordinary sockets at the other.
 */
import assert from "node:assert/strict";
import { after } from "node:test";
import { openUdpXdp, type XdpTransport } from "#dns/transport/udp-xdp.ts";
import { attachXdp, type XdpAttachment } from "#dns/transport/xdp/attach.ts";
import { loadXdpCalls, type XdpCalls } from "#dns/transport/xdp/calls.ts";
import { createCounterSlots } from "#state/counters.ts";
import type { Respond } from "#state/respond.ts";
import { XDP_COUNTER, XDP_COUNTERS, type XdpMode } from "#state/xdp.ts";
import { dnsTransportContract, type OpenTransport } from "../../contract/dns-transport.ts";
import { underTest } from "./udp-client.ts";
import { CLIENT, createVethBed, INTERFACE, SERVER, type VethBed, withoutVeth } from "./veth-bed.ts";

const skip = withoutVeth();
const PORT = 53;
const waitMs = 1; // the client runs in the same thread
/** Where there are no namespaces every test that uses them is skipped. */
const bed: VethBed = skip === false ? createVethBed() : (undefined as never);
const calls = loadXdpCalls() as XdpCalls;
if (bed) after(() => bed.close());

type Server = {
  readonly attachment: XdpAttachment;
  readonly transport: XdpTransport;
  readonly xdpCounters: Float64Array;
};
type Options = { respond: Respond; counters: Float64Array; mode?: XdpMode; addresses?: readonly string[] };

function openServer(options: Options, on: VethBed = bed): Server {
  const { mode, addresses = Object.values(SERVER), ...rest } = options;
  const attachment = on.inside("server", () => {
    return attachXdp({ calls, interface: INTERFACE, ...(mode && { mode }) });
  });
  const xdpCounters = createCounterSlots(XDP_COUNTERS.length);
  const transport = on.inside("server", () =>
    openUdpXdp({ calls, face: attachment.interface, queue: 0, waitMs, xdpCounters, ...rest }),
  );
  for (const address of addresses) attachment.serve({ address, port: PORT });
  return { attachment, transport, xdpCounters };
}

const closeServer = async ({ attachment, transport }: Server): Promise<void> => {
  await transport.close();
  attachment.close();
};

/** As every UDP transport is asked; its client's sockets lie at the other end of the wire. */
const openAt =
  (version: 4 | 6, mode?: XdpMode): OpenTransport =>
  async (options) => {
    let xdpCounters: Float64Array = new Float64Array(0);
    const open = () => {
      const server = openServer({ ...options, ...(mode && { mode }) });
      xdpCounters = server.xdpCounters;
      return { port: PORT, native: undefined, close: () => closeServer(server) };
    };
    const tested = await underTest(SERVER[version], open, SERVER[version], CLIENT[version])(options);
    return {
      ...tested,
      ask: (messages, responses) => bed.inside("client", () => tested.ask(messages, responses)),
      async close() {
        await tested.close();
        assert.equal(xdpCounters[XDP_COUNTER.frame_faults], 0);
      },
    };
  };

if (skip === false) {
  dnsTransportContract("openUdpXdp() on IPv4", openAt(4));
  dnsTransportContract("openUdpXdp() on IPv6", openAt(6));
  dnsTransportContract("openUdpXdp() in generic mode", openAt(4, "generic"));
}
