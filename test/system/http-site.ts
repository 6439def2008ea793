/**
 * A site for tests: `rhumb start` with an `http` and an `https` listener before backends of Node, and what its clients need.
 */
import { createHash } from "node:crypto";
import { once } from "node:events";
import {
  Agent,
  createServer,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  request,
  type Server,
  type ServerResponse,
} from "node:http";
import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";
import { request as requestTls, Agent as TlsAgent } from "node:https";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import { type Authority, createAuthority, type Issued } from "../tls/authority.ts";
import { type BalancerBed, configHead, startBalancer } from "./balancer-bed.ts";
import { freePort } from "./tools.ts";

type Context = Pick<TestContext, "after">;

export const HOST = "www.rhumb.test";
export const LARGE_OCTETS = 1024 * 1024;
const LARGE = Buffer.alloc(LARGE_OCTETS, "0123456789abcdef");

/** Of requests to these paths; `/echo` answers the body, `/hash` its SHA-256, and all else the name of the backend. */
const FILES: Readonly<Record<string, { readonly body: Buffer; readonly headers?: OutgoingHttpHeaders }>> = {
  "/page": { body: LARGE.subarray(0, 262_144) },
  "/large": { body: LARGE },
  "/huge": { body: Buffer.alloc(16 * LARGE_OCTETS, LARGE) },
  "/cached": { body: LARGE.subarray(0, 8192), headers: { "cache-control": "max-age=3600" } },
};

export function answer(name: string, request: IncomingMessage, response: ServerResponse): void {
  const path = request.url!.split("?")[0]!;
  const send = (body: Buffer, headers: OutgoingHttpHeaders = {}): void => {
    request.resume();
    const type = { "content-type": "application/octet-stream", "content-length": body.length };
    response.writeHead(200, { ...type, ...headers }).end(body);
  };
  const file = FILES[path];
  if (file !== undefined) {
    send(file.body, file.headers);
    return;
  }
  switch (path) {
    case "/echo":
      response.writeHead(200, { "content-type": "application/octet-stream" });
      request.pipe(response);
      break;
    case "/hash": {
      const hash = createHash("sha256");
      request.on("data", (chunk: Buffer) => hash.update(chunk)).on("end", () => response.end(hash.digest("hex")));
      break;
    }
    default:
      send(Buffer.from(`${name}\n`));
  }
}

export type SiteBackend = { readonly port: number; readonly server: Server };

/** @param handle what it does with requests, if not what `answer` does */
export async function startHttpBackend(
  context: Context,
  name: string,
  handle: (request: IncomingMessage, response: ServerResponse) => void = (request, response) =>
    answer(name, request, response),
): Promise<SiteBackend> {
  // Idle connections stay for as long as the balancer keeps them: it is the one that is tested.
  const server = createServer({ keepAliveTimeout: 60_000 }, handle).listen({
    port: 0,
    host: "127.0.0.1",
    backlog: 4096,
  });
  await once(server, "listening");
  context.after(async () => {
    const closed = once(server, "close");
    server.close();
    server.closeAllConnections();
    await closed;
  });
  return { port: (server.address() as AddressInfo).port, server };
}

export type SitePart = {
  /** Of both listeners, as an operator writes them: `rules`, `http`, `limits`, `timeouts`, `tls`; inline YAML. */
  readonly listener?: string;
  /** Keys of the pool `web`, inline YAML without backends. */
  readonly pool?: string;
  readonly balancer?: string;
  readonly ports?: readonly number[];
};
export type Site = {
  readonly bed: BalancerBed;
  readonly port: number;
  readonly tlsPort: number;
  readonly authority: Authority;
  /** Files of what the `https` listener shows; whoever overwrites them changes the certificate. */
  readonly issued: Issued;
  /** The whole rhumb.yaml with these things in it. */
  config(part: SitePart): string;
};

/** @param issue makes another certificate than an ordinary one for `HOST` */
export async function startSite(
  context: TestContext,
  part: SitePart,
  issue: (authority: Authority) => Issued | Promise<Issued> = (authority) =>
    authority.issue({ names: [HOST], addresses: ["127.0.0.1"] }),
): Promise<Site> {
  const authority = createAuthority(context);
  const issued = await issue(authority);
  const tlsPort = await freePort();
  let config: (part: SitePart) => string;
  const bed = await startBalancer(context, ({ port, apiPort }) => {
    config = ({ listener = "", pool = "", balancer = "", ports = [] }) => `${configHead(apiPort)}balancer:
  region: here
  workers: 2
  ${balancer}
  listeners:
    plain: { listen: "127.0.0.1:${port}", protocol: http, pool: web${comma(listener)} }
    site: { listen: "127.0.0.1:${tlsPort}", protocol: https, pool: web, certificates: [{ cert: "${issued.certFile}", key: "${issued.keyFile}" }]${comma(listener)} }
  pools:
    web: { backends: [${ports.map((one) => `"127.0.0.1:${one}"`).join(", ")}]${comma(pool)} }
`;
    return config(part);
  });
  return { bed, port: bed.port, tlsPort, authority, issued, config: (changed) => config(changed) };
}
const comma = (text: string): string => (text === "" ? "" : `, ${text}`);

export type Got = { readonly status: number; readonly headers: IncomingMessage["headers"]; readonly body: Buffer };
/** Rejects with whatever goes wrong, the end of the connection in the middle of a response included. */
export function ask(
  site: Site,
  isTls: boolean,
  path: string,
  options: { method?: string; headers?: Record<string, string>; body?: string | Buffer; agent?: Agent } = {},
): Promise<Got> {
  const { body, agent, ...rest } = options;
  const { promise, resolve, reject } = Promise.withResolvers<Got>();
  const common = { ...rest, host: "127.0.0.1", path, ...(agent === undefined ? {} : { agent }) };
  const asked = isTls
    ? requestTls({ ...common, port: site.tlsPort, ca: site.authority.ca })
    : request({ ...common, port: site.port });
  asked.on("error", reject).on("response", (response) => {
    const chunks: Buffer[] = [];
    response
      .on("data", (chunk: Buffer) => chunks.push(chunk))
      .on("error", reject)
      .on("end", () =>
        resolve({ status: response.statusCode!, headers: response.headers, body: Buffer.concat(chunks) }),
      );
  });
  asked.end(body);
  return promise;
}
export const keptAlive = (isTls: boolean, maxSockets = 50): Agent =>
  isTls ? new TlsAgent({ ...IN_TURN, maxSockets }) : new Agent({ ...IN_TURN, maxSockets });
/** The one that stood idle for longest is next: none of them is about to be closed for idleness when it is taken. */
const IN_TURN = { keepAlive: true, scheduling: "fifo" } as const;

export type Steady = { stop(): Promise<{ readonly served: number; readonly faults: readonly string[] }> };
/** So many requests a second, whatever becomes of those before: GET and POST in turn. */
export function steadyRequests(site: Site, isTls: boolean, agent: Agent, perSecond: number): Steady {
  const faults: string[] = [];
  const underWay = new Set<Promise<void>>();
  let served = 0;
  const one = async (number: number): Promise<void> => {
    const body = `body ${number}`;
    try {
      const got =
        number % 2 === 0
          ? await ask(site, isTls, "/", { agent })
          : await ask(site, isTls, "/echo", { method: "POST", body, agent });
      if (got.status !== 200) faults.push(`${got.status} ${got.body}`);
      else if (number % 2 === 1 && got.body.toString() !== body) faults.push(`${got.body} for ${body}`);
      else served++;
    } catch (error) {
      faults.push((error as Error).message);
    }
  };
  let number = 0;
  const timer = setInterval(() => {
    const asked = one(number++).finally(() => underWay.delete(asked));
    underWay.add(asked);
  }, 1_000 / perSecond);
  return {
    async stop() {
      clearInterval(timer);
      await Promise.all(underWay);
      return { served, faults };
    },
  };
}

/** `answer()` for HTTP/2. */
export function answerStream(name: string, stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
  const path = headers[":path"]!.split("?")[0]!;
  const file = FILES[path];
  stream.on("error", () => {});
  if (path === "/echo") {
    stream.respond({ ":status": 200 });
    stream.pipe(stream);
    return;
  }
  stream.resume();
  stream.respond({ ":status": 200, ...file?.headers });
  stream.end(file?.body ?? `${name}\n`);
}
