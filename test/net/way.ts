/** A way to a server that somebody may cut: the server's side ends in order, and what TLS says last never comes. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import type { TestContext } from "node:test";

export type CutWay = {
  readonly port: number;
  /** Of the connection that came last. */
  cut(): void;
};

export async function openWay(t: Pick<TestContext, "after">, port: number): Promise<CutWay> {
  let toClient: Socket | undefined;
  const relay = createServer({ allowHalfOpen: true }, (client) => {
    const server = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    for (const socket of [client, server]) socket.on("error", () => {});
    client.pipe(server);
    server.pipe(client);
    toClient = client;
    t.after(() => {
      client.destroy();
      server.destroy();
    });
  });
  await once(relay.listen(0, "127.0.0.1"), "listening");
  t.after(() => relay.close());
  return { port: (relay.address() as AddressInfo).port, cut: () => void toClient!.end() };
}
