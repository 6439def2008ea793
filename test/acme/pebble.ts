/**
 * An ACME server for tests (RFC 8555), as strict as pebble: checks signatures, nonces and URLs, refuses good nonces now and
 * then, validates slowly and over real sockets, and signs what was asked for.
 */
import assert from "node:assert/strict";
import { createHash, createPublicKey, type KeyObject, randomBytes, verify } from "node:crypto";
import { once } from "node:events";
import { get } from "node:http";
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { TestContext } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "node:tls";
import { createAuthority } from "../tls/authority.ts";

type Jwk = { kty: string; crv?: string; x?: string; y?: string; e?: string; n?: string };
type Account = {
  readonly url: string;
  readonly key: KeyObject;
  readonly thumbprint: string;
  readonly contact: unknown;
};
type Challenge = { type: string; url: string; token: string; status: string; error?: object };
type Authorization = { identifier: { type: string; value: string }; status: string; challenges: Challenge[] };
type Order = {
  url: string;
  account: Account;
  domains: string[];
  authorizations: string[];
  status: string;
  certificate?: string;
};

export type Pebble = {
  readonly directory: string;
  /** PEM to trust at the directory. */
  readonly ca: string;
  readonly accounts: ReadonlyMap<string, Account>;
  orders(): number;
  badNonces(): number;
  /** New orders are refused with this problem. */
  refuse(problem: { status: number; type: string; detail: string } | undefined): void;
  /** Certificates are good for so long. */
  authority: ReturnType<typeof createAuthority>;
};

export async function startPebble(t: TestContext, ports: { http: number; tls: number }): Promise<Pebble> {
  const authority = createAuthority(t, "Pebble");
  const own = authority.issue({ names: ["localhost"], addresses: ["127.0.0.1"] });
  const nonces = new Set<string>();
  const accounts = new Map<string, Account>();
  const orders = new Map<string, Order>();
  const authorizations = new Map<string, Authorization>();
  const certificates = new Map<string, string>();
  let posts = 0;
  let badNonces = 0;
  let refusal: { status: number; type: string; detail: string } | undefined;

  const server = createServer({ cert: own.cert, key: own.key });
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const base = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const id = (): string => randomBytes(8).toString("hex");
  const nonce = (): string => {
    const next = randomBytes(12).toString("base64url");
    nonces.add(next);
    return next;
  };

  class Refusal extends Error {
    readonly status: number;
    readonly type: string;
    constructor(status: number, type: string, detail: string) {
      super(detail);
      this.status = status;
      this.type = type;
    }
  }

  type Post = { account: Account | undefined; jwk: Jwk | undefined; payload: Record<string, unknown> | undefined };
  function open(body: string, url: string): Post {
    const jws = JSON.parse(body) as { protected: string; payload: string; signature: string };
    const header = JSON.parse(Buffer.from(jws.protected, "base64url").toString()) as {
      alg: string;
      nonce: string;
      url: string;
      jwk?: Jwk;
      kid?: string;
    };
    if (header.url !== url) throw new Refusal(403, "unauthorized", `url ${header.url} for ${url}`);
    if (!nonces.delete(header.nonce) || posts++ % 4 === 1) {
      badNonces++;
      throw new Refusal(400, "badNonce", "that nonce is not known");
    }
    const account = header.kid === undefined ? undefined : accounts.get(header.kid);
    if (header.kid !== undefined && account === undefined) throw new Refusal(400, "accountDoesNotExist", header.kid);
    const key = account?.key ?? createPublicKey({ key: header.jwk!, format: "jwk" });
    const octets = Buffer.from(`${jws.protected}.${jws.payload}`);
    const isGood = verify(
      header.alg === "ES384" ? "sha384" : "sha256",
      octets,
      header.alg.startsWith("ES") ? { key, dsaEncoding: "ieee-p1363" } : key,
      Buffer.from(jws.signature, "base64url"),
    );
    if (!isGood) throw new Refusal(403, "unauthorized", "the signature is bad");
    const text = Buffer.from(jws.payload, "base64url").toString();
    return {
      account,
      jwk: header.jwk,
      payload: text === "" ? undefined : (JSON.parse(text) as Record<string, unknown>),
    };
  }

  async function validate(authorization: Authorization, challenge: Challenge, answer: string): Promise<void> {
    challenge.status = "processing";
    await sleep(50);
    const { value: domain } = authorization.identifier;
    try {
      if (challenge.type === "http-01") assert.equal(await fetchProof(ports.http, domain, challenge.token), answer);
      else await lookAtProof(ports.tls, domain, answer);
      challenge.status = authorization.status = "valid";
    } catch (error) {
      challenge.status = authorization.status = "invalid";
      challenge.error = { type: "urn:ietf:params:acme:error:unauthorized", detail: String((error as Error).message) };
    }
  }

  type Reply = { status?: number; headers?: Record<string, string>; body: unknown };
  function answer(method: string, url: string, body: string): Reply {
    const path = new URL(url).pathname;
    if (path === "/dir")
      return {
        body: { newNonce: `${base}/nonce`, newAccount: `${base}/account`, newOrder: `${base}/order`, meta: {} },
      };
    if (path === "/nonce") return { status: method === "HEAD" ? 200 : 204, body: undefined };
    const { account, jwk, payload } = open(body, url);
    if (path === "/account") {
      const known = [...accounts.values()].find(({ key }) => key.equals(createPublicKey({ key: jwk!, format: "jwk" })));
      if (payload?.["termsOfServiceAgreed"] !== true) throw new Refusal(403, "userActionRequired", "terms");
      const { kty, crv, x, y } = jwk!;
      const thumbprint = createHash("sha256").update(JSON.stringify({ crv, kty, x, y })).digest("base64url");
      const made = known ?? {
        url: `${base}/account/${id()}`,
        key: createPublicKey({ key: jwk!, format: "jwk" }),
        thumbprint,
        contact: payload["contact"],
      };
      accounts.set(made.url, made);
      return { status: known ? 200 : 201, headers: { location: made.url }, body: { status: "valid" } };
    }
    assert.ok(account, `${path} needs an account`);
    if (path === "/order") {
      if (refusal) throw new Refusal(refusal.status, refusal.type, refusal.detail);
      const domains = (payload!["identifiers"] as { value: string }[]).map(({ value }) => value);
      const made: Order = {
        url: `${base}/order/${id()}`,
        account,
        domains,
        status: "pending",
        authorizations: domains.map((value) => {
          const authz = `${base}/authz/${id()}`;
          authorizations.set(authz, {
            identifier: { type: "dns", value },
            status: "pending",
            challenges: ["http-01", "tls-alpn-01", "dns-01"].map((type) => ({
              type,
              url: `${authz}/${type}`,
              token: randomBytes(16).toString("base64url"),
              status: "pending",
            })),
          });
          return authz;
        }),
      };
      orders.set(made.url, made);
      return { status: 201, headers: { location: made.url }, body: shown(made) };
    }
    if (url === account.url) return { body: { status: "valid" } };
    const order = orders.get(url.replace(/\/finalize$/, ""));
    if (order && url.endsWith("/finalize")) {
      if (shown(order).status !== "ready") throw new Refusal(403, "orderNotReady", "prove the names first");
      const csr = Buffer.from(payload!["csr"] as string, "base64url").toString("base64");
      const pem = authority.sign(`-----BEGIN CERTIFICATE REQUEST-----\n${csr}\n-----END CERTIFICATE REQUEST-----\n`);
      order.certificate = `${base}/certificate/${id()}`;
      certificates.set(order.certificate, pem + authority.ca);
      return { headers: { location: order.url }, body: shown(order) };
    }
    if (order) return { headers: { location: order.url }, body: shown(order) };
    if (certificates.has(url)) return { body: certificates.get(url) };
    const authorization = authorizations.get(url);
    if (authorization) return { body: authorization };
    for (const each of authorizations.values()) {
      const challenge = each.challenges.find((one) => one.url === url);
      if (challenge === undefined) continue;
      if (payload !== undefined && challenge.status === "pending")
        void validate(each, challenge, `${challenge.token}.${account.thumbprint}`);
      return { body: challenge };
    }
    throw new Refusal(404, "malformed", url);
  }
  const shown = (order: Order) => {
    const each = order.authorizations.map((url) => authorizations.get(url)!.status);
    const isReady = each.every((status) => status === "valid");
    const isBad = each.includes("invalid");
    return {
      status: order.certificate ? "valid" : isBad ? "invalid" : isReady ? "ready" : "pending",
      identifiers: order.domains.map((value) => ({ type: "dns", value })),
      authorizations: order.authorizations,
      finalize: `${order.url}/finalize`,
      ...(order.certificate ? { certificate: order.certificate } : {}),
    };
  };

  server.on("request", async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    response.setHeader("replay-nonce", nonce());
    try {
      const reply = answer(request.method!, `${base}${request.url}`, Buffer.concat(chunks).toString());
      const isText = typeof reply.body === "string";
      response.writeHead(reply.status ?? 200, {
        "content-type": isText ? "application/pem-certificate-chain" : "application/json",
        ...reply.headers,
      });
      response.end(isText ? reply.body : reply.body === undefined ? undefined : JSON.stringify(reply.body));
    } catch (error) {
      const { status = 500, type = "serverInternal", message } = error as Partial<Refusal>;
      response.writeHead(status, { "content-type": "application/problem+json" });
      response.end(JSON.stringify({ type: `urn:ietf:params:acme:error:${type}`, detail: message, status }));
    }
  });

  return {
    directory: `${base}/dir`,
    ca: authority.ca,
    accounts,
    orders: () => orders.size,
    badNonces: () => badNonces,
    refuse(problem) {
      refusal = problem;
    },
    authority,
  };
}

/** What a name answers at its port 80. */
async function fetchProof(port: number, domain: string, token: string): Promise<string> {
  const request = get({
    host: "127.0.0.1",
    port,
    path: `/.well-known/acme-challenge/${token}`,
    headers: { host: domain },
  });
  const [response] = (await once(request, "response")) as [import("node:http").IncomingMessage];
  assert.equal(response.statusCode, 200);
  let text = "";
  for await (const chunk of response) text += String(chunk);
  return text;
}

/** `id-pe-acmeIdentifier`, critical, with the hash in an OCTET STRING within the extension's (RFC 8737 §3). */
const EXTENSION = Buffer.from("06082b0601050507011f0101ff0422" + "0420", "hex");
async function lookAtProof(port: number, domain: string, answer: string): Promise<void> {
  const socket = connect({
    host: "127.0.0.1",
    port,
    servername: domain,
    ALPNProtocols: ["acme-tls/1"],
    rejectUnauthorized: false,
  });
  try {
    await once(socket, "secureConnect");
    assert.equal(socket.alpnProtocol, "acme-tls/1");
    const certificate = socket.getPeerX509Certificate()!;
    assert.equal(certificate.subjectAltName, `DNS:${domain}`);
    const hash = createHash("sha256").update(answer).digest();
    assert.ok(certificate.raw.includes(Buffer.concat([EXTENSION, hash])), "the extension is not there");
  } finally {
    socket.on("error", () => {});
    socket.destroy();
  }
}
