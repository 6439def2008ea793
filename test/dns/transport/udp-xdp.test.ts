/**
 * The AF_XDP transport on a real driver: our program and socket at one end of a veth pair, ordinary sockets at the other.
 */
import assert from "node:assert/strict";
import { after } from "node:test";
import type { XdpMode } from "#state/xdp.ts";
import { dnsTransportContract, type OpenTransport } from "../../contract/dns-transport.ts";
import { underTest } from "./udp-client.ts";
import { CLIENT, createVethBed, SERVER, withoutVeth } from "./veth-bed.ts";
import { openXdpServer, PORT, type XdpServer } from "./xdp-server.ts";

if (withoutVeth() === false) {
  const bed = createVethBed();
  after(() => bed.close());

  /** As every UDP transport is asked; its client's sockets lie at the other end of the wire. */
  const openAt =
    (version: 4 | 6, mode?: XdpMode): OpenTransport =>
    async (options) => {
      let server: XdpServer | undefined;
      const open = () => {
        server = openXdpServer(bed, { ...options, ...(mode && { mode }) });
        return { port: PORT, native: undefined, close: server.close };
      };
      const tested = await underTest(SERVER[version], open, SERVER[version], CLIENT[version])(options);
      return {
        ...tested,
        ask: (messages, responses) => bed.inside("client", () => tested.ask(messages, responses)),
        async close() {
          // Both directions passed our rings, and the kernel had no fault to find.
          assert.ok(server!.count("received") > 0);
          await tested.close();
          assert.deepEqual([server!.count("frame_faults"), server!.count("invalid_sent")], [0, 0]);
          assert.equal(server!.attachment.interface.mode, mode ?? "native");
        },
      };
    };

  dnsTransportContract("openUdpXdp() on IPv4", openAt(4));
  dnsTransportContract("openUdpXdp() on IPv6", openAt(6));
  dnsTransportContract("openUdpXdp() in generic mode on IPv4", openAt(4, "generic"));
  dnsTransportContract("openUdpXdp() in generic mode on IPv6", openAt(6, "generic"));
}
