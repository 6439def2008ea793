/** Servers for clients of a drill: as good or as bad as a test wants them. */
import { createSocket, type RemoteInfo, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import type { TestContext } from "node:test";
import { parseIpv4 } from "#base/ip.ts";
import { decodeMessage } from "#dns/wire/decode-message.ts";
import { OPTION } from "#dns/wire/edns.ts";
import type { LoadSpec } from "#drill/load/protocol.ts";
import type { Endpoint } from "#drill/stage.ts";

type Context = Pick<TestContext, "after">;

/** Octets up to the end of the only question. */
function questionEnd(query: Uint8Array): number {
  let at = 12;
  while (query[at] !== 0) at += 1 + query[at]!;
  return at + 5;
}

export type Reply = {
  readonly addresses?: readonly string[];
  readonly ttlSeconds?: number;
  readonly rcode?: number;
  readonly isTruncated?: boolean;
};

/** An answer to a query, as a name server would write it. */
export function answerTo(
  query: Uint8Array,
  { addresses = [], ttlSeconds = 60, rcode = 0, isTruncated }: Reply,
): Buffer {
  const head = Buffer.from(query.subarray(0, questionEnd(query)));
  head[2] = 0x84 | (isTruncated ? 0x02 : 0);
  head[3] = rcode;
  head.fill(0, 6, 12);
  head[7] = addresses.length;
  const records = addresses.map((address) => {
    const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, ...parseIpv4(address)!]);
    record.writeUInt32BE(ttlSeconds, 6);
    return record;
  });
  return Buffer.concat([head, ...records]);
}

/** The client subnet that a query carries, as octets of its option. */
export function subnetOf(query: Uint8Array): readonly number[] | undefined {
  const decoded = decodeMessage(query);
  if (typeof decoded === "number" || decoded.opt === undefined) return undefined;
  const { rdata } = decoded.opt;
  return rdata.length > 4 && ((rdata[0]! << 8) | rdata[1]!) === OPTION.CLIENT_SUBNET
    ? [...rdata.subarray(4)]
    : undefined;
}

export type NameServer = Endpoint & {
  /** Queries that came by UDP, oldest first. */
  readonly seen: Buffer[];
  readonly seenByTcp: Buffer[];
  close(): Promise<void>;
};
export type SendReply = (message: Uint8Array) => void;

/** @param udp, tcp answer a query, with as many messages as they like */
export async function startNameServer(
  context: Context,
  udp: (query: Buffer, send: SendReply) => void,
  tcp?: (query: Buffer, send: SendReply) => void,
): Promise<NameServer> {
  const seen: Buffer[] = [];
  const seenByTcp: Buffer[] = [];
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", (octets: Buffer) => {
      const query = octets.subarray(2);
      seenByTcp.push(query);
      tcp?.(query, (message) =>
        socket.end(Buffer.concat([Buffer.from([message.length >> 8, message.length & 255]), message])),
      );
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const socket: UdpSocket = createSocket("udp4");
  socket.on("message", (query: Buffer, from: RemoteInfo) => {
    seen.push(query);
    udp(query, (message) => socket.send(message, from.port, from.address));
  });
  socket.bind(port, "127.0.0.1");
  await once(socket, "listening");
  let isClosed = false;
  async function close(): Promise<void> {
    if (isClosed) return;
    isClosed = true;
    server.close();
    const closed = once(socket, "close");
    socket.close();
    await closed;
  }
  context.after(close);
  return { address: "127.0.0.1", port, seen, seenByTcp, close };
}

/** An endpoint where nobody listens. */
export async function deadEndpoint(): Promise<Endpoint> {
  const socket = createSocket("udp4");
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  const { port } = socket.address();
  socket.close();
  await once(socket, "close");
  return { address: "127.0.0.1", port };
}

export type WebServer = Endpoint & {
  readonly server: Server;
  /** Connections that it took, oldest first. */
  readonly taken: Socket[];
  requests(): number;
};

/** @param answer gets the connection and the number of the request on it, once its head has come */
export async function startWeb(
  context: Context,
  answer: (socket: Socket, request: number) => void,
): Promise<WebServer> {
  const taken: Socket[] = [];
  let requests = 0;
  const server = createServer((socket) => {
    taken.push(socket);
    let mine = 0;
    let head = "";
    socket.setEncoding("latin1");
    socket.on("error", () => {});
    socket.on("data", (text: string) => {
      head += text;
      for (let end = head.indexOf("\r\n\r\n"); end >= 0; end = head.indexOf("\r\n\r\n")) {
        head = head.slice(end + 4);
        requests++;
        answer(socket, mine++);
      }
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  context.after(async () => {
    const closed = once(server, "close");
    for (const socket of taken) socket.destroy();
    server.close();
    await closed;
  });
  const { port } = server.address() as AddressInfo;
  return { address: "127.0.0.1", port, server, taken, requests: () => requests };
}

/** Resolves when the connection has ended, in whatever way. */
export const gone = (socket: Socket): Promise<void> =>
  new Promise((resolve) => (socket.destroyed ? resolve() : socket.once("close", () => resolve())));

export const reply = (socket: Socket, region: string, status = "200 OK"): void => {
  const body = `${region}/1\n`;
  socket.write(`HTTP/1.1 ${status}\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
};

export const NAME = "www.test.example";
/** Addresses that exist nowhere: `ways` lead to where a test has its servers. */
export const US = "192.0.2.1";
export const EU = "192.0.2.2";
export const WEB_PORT = 80;

export const specOf = (overrides: Partial<LoadSpec> = {}): LoadSpec => ({
  place: {
    continent: "EU",
    network: "198.51.100.0/24",
    resolvers: [],
    isResolver: false,
    ways: {},
    anycast: undefined,
  },
  seed: 1,
  name: NAME,
  dns: { clients: 10, qps: 0, stretchTtl: 0 },
  http: { rps: 0, keepAlive: true, retries: 1, port: WEB_PORT },
  anycastRps: 0,
  watch: [],
  regions: { [US]: "us-east", [EU]: "eu-west" },
  ...overrides,
});
