/**
 * A client for the contract of UDP transports: an ordinary `node:dgram` socket.
 * @module
 */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import type { UdpTransport } from "#dns/transport/udp.ts";
import { type Respond, TRANSPORT } from "#state/respond.ts";
import type { OpenTransport } from "../../contract/dns-transport.ts";

export const echo: Respond = (request, length, _client, out) => {
  out.set(request.subarray(0, length));
  return length;
};

/**
 * @param to where to ask, when the transport listens on a wildcard address
 * @param from which address asks, when it is at another end of a wire
 */
export const underTest =
  (
    address: string,
    open: (options: Parameters<OpenTransport>[0]) => Promise<UdpTransport> | UdpTransport,
    to = address,
    from = to,
  ): OpenTransport =>
  async (options) => {
    const transport = await open(options);
    return {
      address: from,
      kind: TRANSPORT.udp,
      maxOctets: 1_232,
      close: transport.close,
      async ask(messages, count) {
        const socket = createSocket(to.includes(":") ? "udp6" : "udp4");
        socket.bind(0, from);
        await once(socket, "listening");
        socket.setRecvBufferSize(4_000_000);
        // A connected socket hears its peer alone: the answer must come from the address that was asked.
        socket.connect(transport.port, to);
        await once(socket, "connect");
        const responses: Buffer[] = [];
        const done = new Promise<void>((resolve) => {
          socket.on("message", (response) => {
            responses.push(response);
            if (responses.length === count) resolve();
          });
        });
        for (const message of messages) socket.send(message);
        await done;
        const clientPort = socket.address().port;
        socket.close();
        return { responses, clientPort };
      },
    };
  };
