/**
 * Ports of loopback for processes that we start, claimed so that no two of us are given the same.
 *
 * A port that was tried and let go can be another's before it is used. So they are claimed in blocks: who listens on
 * the first port of a block has the rest of it, until it ends, however it ends. What others use is passed over.
 * @module
 */
import { createSocket } from "node:dgram";
import { createServer, type Server } from "node:net";
import { RhumbError } from "#base/errors.ts";
import { createInTurn } from "#base/in-turn.ts";

export type PortRange = { readonly from: number; readonly blocks: number; readonly portsOfBlock: number };
/** Below the ports that Linux gives to outgoing connections (net.ipv4.ip_local_port_range): none of them takes ours. */
const RANGE: PortRange = { from: 12_000, blocks: 80, portsOfBlock: 250 };

export type Ports = {
  /**
   * @param count ports in a row, at most all of a block but its first
   * @returns the first of them; nobody uses them now, by TCP or UDP, on any address of IPv4
   * @throws RhumbError `RHUMB_PORTS_TAKEN` where there is no more block
   */
  take(count?: number): Promise<number>;
  /** Gives them back. */
  close(): void;
};

type Block = { next: number; readonly end: number };

export function createPorts({ from, blocks, portsOfBlock }: PortRange = RANGE): Ports {
  const inTurn = createInTurn();
  const claims: Server[] = [];
  let block: Block | undefined;

  async function claimBlock(): Promise<Block> {
    const start = Math.floor(Math.random() * blocks);
    for (let tried = 0; tried < blocks; tried++) {
      const first = from + ((start + tried) % blocks) * portsOfBlock;
      const claim = await listen(first, "127.0.0.1");
      if (!claim) continue;
      claims.push(claim.unref());
      return { next: first + 1, end: first + portsOfBlock };
    }
    throw new RhumbError("RHUMB_PORTS_TAKEN", `${from} to ${from + blocks * portsOfBlock - 1}`);
  }

  return {
    take: (count = 1) =>
      inTurn(async () => {
        for (let row = 0; ; ) {
          if (!block || block.next === block.end) {
            block = await claimBlock();
            row = 0;
          }
          row = (await isFree(block.next++)) ? row + 1 : 0;
          if (row === count) return block.next - count;
        }
      }),
    close() {
      for (const claim of claims.splice(0)) claim.close();
      block = undefined;
    },
  };
}

async function isFree(port: number): Promise<boolean> {
  const server = await listen(port, "0.0.0.0");
  if (!server) return false;
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = createSocket("udp4").once("error", () => {
    socket.close();
    resolve(false);
  });
  socket.bind({ port, address: "0.0.0.0", exclusive: true }, () => socket.close(() => resolve(true)));
  const udp = await promise;
  await new Promise((closed) => server.close(closed));
  return udp;
}

/** @returns undefined where another has the port */
function listen(port: number, host: string): Promise<Server | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<Server | undefined>();
  const server = createServer()
    .once("error", (error: NodeJS.ErrnoException) => (error.code === "EADDRINUSE" ? resolve(undefined) : reject(error)))
    .listen({ port, host, exclusive: true }, () => resolve(server));
  return promise;
}
