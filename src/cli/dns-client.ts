/**
 * Asks one name server one question over UDP or TCP: for `rhumb dig`, `rhumb doctor` and POST /probe.
 * @module
 */
import { randomInt } from "node:crypto";
import { createSocket } from "node:dgram";
import { connect, isIPv6 } from "node:net";
import type { Cidr } from "#base/ip.ts";
import { type DnsResponse, decodeResponse, encodeQuestion } from "#cli/dns-message.ts";

export type DnsAsk = {
  /** IP address of the server. */
  readonly address: string;
  readonly port: number;
  /** Uncompressed wire name. */
  readonly name: Uint8Array;
  readonly type: number;
  readonly subnet?: Cidr | undefined;
  readonly isTcp: boolean;
  readonly isRecursive?: boolean;
  readonly timeoutMs: number;
};
export type DnsExchange = { readonly response: DnsResponse; readonly rttMs: number; readonly octets: number };

/**
 * One try, no retry over TCP by itself.
 * @throws Error that says in a few words what happened: timed out, refused, malformed
 */
export async function askDns(ask: DnsAsk): Promise<DnsExchange> {
  const id = randomInt(0x1_0000);
  const query = encodeQuestion({ ...ask, id, subnet: ask.subnet });
  const startedAt = performance.now();
  const message = await (ask.isTcp ? overTcp(ask, query, id) : overUdp(ask, query, id));
  const rttMs = performance.now() - startedAt;
  return { response: decodeResponse(message), rttMs, octets: message.length };
}

/** The response must carry our id, and come from where we asked (the socket is connected). */
const isOurs = (message: Uint8Array, id: number): boolean =>
  message.length >= 12 && ((message[0]! << 8) | message[1]!) === id && (message[2]! & 0x80) !== 0;

function overUdp({ address, port, timeoutMs }: DnsAsk, query: Uint8Array, id: number): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const socket = createSocket(isIPv6(address) ? "udp6" : "udp4");
  const timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  socket.on("error", (error: NodeJS.ErrnoException) =>
    reject(new Error(error.code === "ECONNREFUSED" ? "refused: nothing listens there" : error.message)),
  );
  socket.on("message", (message) => {
    if (isOurs(message, id)) resolve(message);
  });
  // An event, not a callback: the callback is also called when there is no route, and then nothing may be sent.
  socket.on("connect", () => socket.send(query));
  socket.connect(port, address);
  return promise.finally(() => {
    clearTimeout(timer);
    socket.close();
  });
}

function overTcp({ address, port, timeoutMs }: DnsAsk, query: Uint8Array, id: number): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const socket = connect({ host: address, port });
  const timer = setTimeout(() => reject(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
  let buffer = Buffer.alloc(0);
  socket.on("error", (error: NodeJS.ErrnoException) =>
    reject(new Error(error.code === "ECONNREFUSED" ? "refused: nothing listens there" : error.message)),
  );
  socket.on("close", () => reject(new Error("the connection was closed without an answer")));
  socket.on("data", (chunk: Buffer) => {
    buffer = Buffer.concat([buffer, chunk]);
    if (buffer.length < 2 || buffer.length < 2 + buffer.readUInt16BE(0)) return;
    const message = buffer.subarray(2, 2 + buffer.readUInt16BE(0));
    if (isOurs(message, id)) resolve(message);
    else reject(new Error("the answer is to another question"));
  });
  const length = Buffer.alloc(2);
  length.writeUInt16BE(query.length);
  socket.write(Buffer.concat([length, query]));
  return promise.finally(() => {
    clearTimeout(timer);
    socket.destroy();
  });
}
