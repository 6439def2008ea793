/**
 * Asks one DNS server by UDP, and by TCP where the answer was cut short.
 *
 * Owns:    a few sockets, each with a port of its own, used in turn: a server that spreads clients over its workers by port
 *          is met in all of them.
 * @module
 */
import { createSocket, type Socket } from "node:dgram";
import { connect, isIPv6 } from "node:net";
import type { Rng } from "#base/rng.ts";
import type { DnsAnswer, Question } from "#drill/load/dns-question.ts";
import type { Endpoint } from "#drill/stage.ts";

/** `refused`: the system says that nobody listens there. What is not an answer to the question is not heard at all. */
export type Said = DnsAnswer | "silent" | "refused";

export type DnsAsker = {
  /** One try. @param client who asks: those of a network tell it */
  ask(timeoutMs: number, client?: number): Promise<Said>;
  close(): void;
};

type Waiting = { readonly settle: (said: Said) => void };

export function createDnsAsker(server: Endpoint, question: Question, rng: Rng, ports: number): DnsAsker {
  const all = Array.from({ length: ports }, () => new Port(server, question));
  let turn = 0;

  async function ask(timeoutMs: number, client = 0): Promise<Said> {
    const startedAt = performance.now();
    turn = (turn + 1) % ports;
    const id = Math.floor(rng() * 0x1_0000);
    const said = await all[turn]!.ask(id, timeoutMs, client);
    if (typeof said === "string" || !said.isTruncated) return said;
    const leftMs = Math.max(1, timeoutMs - (performance.now() - startedAt));
    return askTcp(server, { question, id, client }, leftMs);
  }
  return {
    ask,
    close() {
      for (const port of all) port.close();
    },
  };
}

class Port {
  readonly #server: Endpoint;
  readonly #question: Question;
  readonly #waiting = new Map<number, Waiting>();
  #socket: Promise<Socket | undefined> | undefined;
  #isClosed = false;

  constructor(server: Endpoint, question: Question) {
    this.#server = server;
    this.#question = question;
  }

  async ask(wishedId: number, timeoutMs: number, client: number): Promise<Said> {
    let id = wishedId;
    while (this.#waiting.has(id)) id = (id + 1) & 0xffff;
    const { promise, resolve } = Promise.withResolvers<Said>();
    const timer = setTimeout(resolve, timeoutMs, "silent");
    this.#waiting.set(id, { settle: resolve });
    this.#socket ??= this.#open();
    const socket = await this.#socket;
    if (socket === undefined || this.#isClosed) resolve("refused");
    else socket.send(this.#question.encode(id, client), (error) => error && resolve("refused"));
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      this.#waiting.delete(id);
    }
  }

  /** Connected, so that the system tells of refusals, and hears nobody else. */
  async #open(): Promise<Socket | undefined> {
    const { address, port } = this.#server;
    const socket = createSocket(isIPv6(address) ? "udp6" : "udp4");
    const { promise, resolve } = Promise.withResolvers<Socket | undefined>();
    socket.on("connect", () => resolve(socket));
    socket.on("message", (message) => {
      for (const [id, { settle }] of this.#waiting) {
        const answer = this.#question.read(message, id);
        if (answer !== undefined) return settle(answer);
      }
    });
    socket.on("error", () => {
      resolve(undefined);
      for (const { settle } of this.#waiting.values()) settle("refused");
      this.#drop(socket);
    });
    try {
      socket.connect(port, address);
    } catch {
      resolve(undefined);
      this.#drop(socket);
    }
    return promise;
  }

  /** The next question opens another one. */
  #drop(socket: Socket): void {
    this.#socket = undefined;
    try {
      socket.close();
    } catch {
      // It is closed already.
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#socket?.then((socket) => socket && this.#drop(socket));
  }
}

/** One question in a connection of its own (RFC 7766 §8: two octets of length before the message). */
type Asked = { readonly question: Question; readonly id: number; readonly client: number };
function askTcp({ address, port }: Endpoint, { question, id, client }: Asked, timeoutMs: number): Promise<Said> {
  const { promise, resolve } = Promise.withResolvers<Said>();
  const socket = connect({ host: address, port });
  const timer = setTimeout(resolve, timeoutMs, "silent");
  let received = Buffer.alloc(0);
  socket.on("connect", () => {
    const query = question.encode(id, client);
    socket.write(Buffer.concat([Uint8Array.of(query.length >>> 8, query.length & 0xff), query]));
  });
  socket.on("data", (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
    resolve(question.read(received.subarray(2, 2 + received.readUInt16BE(0)), id) ?? "refused");
  });
  socket.on("error", () => resolve("refused"));
  socket.on("close", () => resolve("refused"));
  return promise.finally(() => {
    clearTimeout(timer);
    socket.destroy();
  });
}
