/**
 * A steady load of DNS queries over UDP and TCP that retries nothing: each query is answered, or it is lost and counted.
 */
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect } from "node:net";
import { encodeQuery } from "#dns/wire/encode-query.ts";
import { parseName } from "#dns/wire/name.ts";
import { TYPE } from "#dns/wire/types.ts";

export type LoadResult = {
  readonly sent: number;
  readonly answered: number;
  /** Answers that were not NOERROR with a record. */
  readonly bad: number;
};
export type DnsLoad = {
  /** Sends no more, waits for what is under way, and counts. */
  stop(): Promise<LoadResult>;
};

const UDP_CLIENTS = 6;
const TCP_CLIENTS = 3;
/** Queries that each client has under way. */
const WINDOW = 4;
const PAUSE_MS = 4;
/** What takes longer than this on loopback is lost. */
const LOST_AFTER_MS = 5_000;

type Client = { send(message: Uint8Array): void; close(): void };

/** @param name asked for with type TXT */
export async function startLoad(port: number, name: string): Promise<DnsLoad> {
  const wireName = parseName(name) as Uint8Array;
  let sent = 0;
  let answered = 0;
  let bad = 0;
  let isStopping = false;
  let whenIdle: (() => void) | undefined;
  const clients: Client[] = [];

  const startClient = (client: Client, onMessage: (take: (message: Uint8Array) => void) => void): void => {
    const pending = new Set<number>();
    let id = 0;
    const ask = (): void => {
      if (isStopping) return;
      id = (id + 1) & 0xffff;
      pending.add(id);
      sent++;
      client.send(encodeQuery(wireName, TYPE.TXT, { id, edns: {} }));
    };
    onMessage((message) => {
      if (!pending.delete((message[0]! << 8) | message[1]!)) return;
      answered++;
      if ((message[3]! & 0x0f) !== 0 || message[7] === 0) bad++;
      if (answered === sent) whenIdle?.();
      setTimeout(ask, PAUSE_MS);
    });
    for (let started = 0; started < WINDOW; started++) ask();
    clients.push(client);
  };

  for (let index = 0; index < UDP_CLIENTS; index++) {
    const socket = createSocket("udp4");
    socket.connect(port, "127.0.0.1");
    await once(socket, "connect");
    startClient({ send: (message) => socket.send(message), close: () => socket.close() }, (take) => {
      socket.on("message", take);
      socket.on("error", () => {}); // a refused datagram is a lost query, and counted as that
    });
  }
  for (let index = 0; index < TCP_CLIENTS; index++) {
    const socket = connect({ host: "127.0.0.1", port, noDelay: true });
    await once(socket, "connect");
    let buffer = Buffer.alloc(0);
    startClient({ send: (message) => socket.write(frame(message)), close: () => socket.destroy() }, (take) => {
      socket.on("error", () => {});
      socket.on("data", (chunk: Buffer) => {
        buffer = Buffer.concat([buffer, chunk]);
        while (buffer.length >= 2 && buffer.length >= 2 + buffer.readUInt16BE(0)) {
          const end = 2 + buffer.readUInt16BE(0);
          take(buffer.subarray(2, end));
          buffer = buffer.subarray(end);
        }
      });
    });
  }

  return {
    async stop() {
      const { promise, resolve } = Promise.withResolvers<void>();
      whenIdle = resolve;
      isStopping = true;
      const timer = setTimeout(resolve, LOST_AFTER_MS);
      if (answered === sent) resolve();
      await promise;
      clearTimeout(timer);
      for (const client of clients) client.close();
      return { sent, answered, bad };
    },
  };
}

/** A message as TCP carries it (RFC 1035 §4.2.2). */
export function frame(message: Uint8Array): Uint8Array {
  const framed = new Uint8Array(message.length + 2);
  framed[0] = message.length >>> 8;
  framed[1] = message.length & 0xff;
  framed.set(message, 2);
  return framed;
}
