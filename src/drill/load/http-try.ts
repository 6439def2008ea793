/**
 * One try of one request: GET / by HTTP/1.1, and who answered.
 *
 * Connections are kept by client and address, as each client's browser would; none is used once its address is not in what
 * the client knows.
 * @module
 */
import { Agent, type ClientRequestArgs, type IncomingMessage, request } from "node:http";
import type { Duplex } from "node:stream";
import type { Endpoint } from "#drill/stage.ts";

/** `says`: the region that the backend says it is in; undefined: it says nothing. Whoever answered may have written anything. */
export type TryResult = { readonly status: number; readonly says: string | undefined } | "failed";

/** Does a user get what they came for? */
export const isOk = (result: TryResult): result is Exclude<TryResult, "failed"> =>
  result !== "failed" && result.status >= 200 && result.status < 400;

export type HttpTry = {
  /** Where the connection goes. */
  readonly at: Endpoint;
  /** The `Host` field. */
  readonly host: string;
  readonly timeoutMs: number;
  /** Undefined: a connection for this request alone. */
  readonly agent: ClientAgent | undefined;
  /** Whose connection it is: the same for the same client and address. */
  readonly owner: ConnectionOwner;
};
export type ConnectionOwner = { readonly client: number; readonly address: string };

const IDLE_MS = 30_000;
/** Of a body: enough to read `REGION/N` in. */
const HEAD_OF_BODY_OCTETS = 128;

const nameOf = ({ client, address }: ConnectionOwner): string => `${client} ${address}`;
type OwnedArgs = ClientRequestArgs & { readonly owner: ConnectionOwner };

/** Keeps connections for each client apart. */
export class ClientAgent extends Agent {
  readonly #owners = new WeakMap<Duplex, ConnectionOwner>();
  readonly #isCurrent: (owner: ConnectionOwner) => boolean;

  /** @param isCurrent does the client still know the address? */
  constructor(isKeeping: boolean, isCurrent: (owner: ConnectionOwner) => boolean) {
    super({ keepAlive: isKeeping, timeout: IDLE_MS, scheduling: "lifo" });
    this.#isCurrent = isCurrent;
  }

  override getName(options?: object): string {
    return nameOf((options as OwnedArgs).owner);
  }

  override createConnection(options: ClientRequestArgs, done?: (error: Error | null, stream: Duplex) => void) {
    const socket = super.createConnection(options, done);
    if (socket) this.#owners.set(socket, (options as OwnedArgs).owner);
    return socket;
  }

  override keepSocketAlive(socket: Duplex): boolean {
    const owner = this.#owners.get(socket);
    if (owner === undefined || !this.#isCurrent(owner)) return false;
    const isKept: unknown = super.keepSocketAlive(socket); // typed as void, documented as a boolean
    return isKept === true;
  }

  /** The client knows another address now: what is idle is closed, what is in use is closed after it. */
  leave(owner: ConnectionOwner): void {
    for (const socket of this.freeSockets[nameOf(owner)] ?? []) socket.destroy();
  }
}

export function tryHttp({ at, host, timeoutMs, agent, owner }: HttpTry): Promise<TryResult> {
  const { promise, resolve } = Promise.withResolvers<TryResult>();
  const fail = (): void => resolve("failed");
  const args: OwnedArgs = {
    host: at.address,
    port: at.port,
    path: "/",
    agent: agent ?? false,
    headers: { host, "user-agent": "rhumb-drill" },
    owner,
  };
  const asking = request(args, (response) => {
    response.on("error", fail);
    response.on("close", fail);
    readBody(response, (body) => resolve({ status: response.statusCode ?? 0, says: regionIn(response, body) }));
  });
  asking.on("error", fail);
  asking.on("close", fail);
  asking.end();
  const timer = setTimeout(() => {
    fail();
    asking.destroy();
  }, timeoutMs);
  return promise.finally(() => clearTimeout(timer));
}

/** @param done called once the whole body has come */
function readBody(response: IncomingMessage, done: (head: string) => void): void {
  let head = "";
  response.setEncoding("latin1");
  response.on("data", (text: string) => {
    if (head.length < HEAD_OF_BODY_OCTETS) head += text.slice(0, HEAD_OF_BODY_OCTETS - head.length);
  });
  response.on("end", () => done(head));
}

function regionIn({ headers }: IncomingMessage, body: string): string | undefined {
  const header = headers["x-region"];
  return typeof header === "string" ? header : /^([a-z0-9-]+)\//.exec(body)?.[1];
}
