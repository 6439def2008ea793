/**
 * One request to a control API, with what the doctor needs beyond the body: status and the peer's clock.
 * @module
 */
import { readFileSync } from "node:fs";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";

export type ApiAsk = {
  readonly url: string;
  readonly socketPath?: string | undefined;
  readonly token: string | undefined;
  /** PEM file of what to trust instead of the system's certificates. */
  readonly caFile: string | undefined;
  /** This machine's own API: asked by address, so its certificate's name does not matter. */
  readonly isOwn: boolean;
  readonly method: "GET" | "POST";
  readonly path: string;
  readonly body?: unknown;
};
export type ApiAnswer = {
  readonly status: number;
  readonly body: unknown;
  /** How far the peer's clock is ahead of ours, ± half a second; undefined: no Date. */
  readonly skewMs: number | undefined;
};

const TIMEOUT_MS = 5_000;
const MAX_OCTETS = 8 * 1_048_576;

/** @throws Error that says in a few words why there is no answer */
export async function askApi(ask: ApiAsk): Promise<ApiAnswer> {
  const url = new URL(ask.path, ask.url);
  const payload = ask.body === undefined ? undefined : JSON.stringify(ask.body);
  const options = {
    method: ask.method,
    agent: false as const,
    timeout: TIMEOUT_MS,
    ...(ask.socketPath === undefined ? {} : { socketPath: ask.socketPath }),
    ...(ask.caFile === undefined ? {} : { ca: readFileSync(ask.caFile), allowPartialTrustChain: true }),
    ...(ask.isOwn ? { checkServerIdentity: () => undefined } : {}),
    headers: {
      accept: "application/json",
      ...(payload === undefined ? {} : { "content-type": "application/json" }),
      ...(ask.token === undefined ? {} : { authorization: `Bearer ${ask.token}` }),
    },
  };
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  const sentAtMs = Date.now();
  const request = (url.protocol === "https:" ? httpsRequest : httpRequest)(url, options, resolve);
  request.on("timeout", () => request.destroy(new Error(`no answer within ${TIMEOUT_MS / 1_000} s`)));
  request.on("error", (error: NodeJS.ErrnoException) =>
    reject(
      new Error(error.code === "ECONNREFUSED" ? "refused: nothing listens there" : error.message, { cause: error }),
    ),
  );
  request.end(payload);
  const response = await promise;
  const middleMs = (sentAtMs + Date.now()) / 2;
  const dateMs = Date.parse(response.headers.date ?? "");
  const chunks: Buffer[] = [];
  let octets = 0;
  for await (const chunk of response) {
    octets += (chunk as Buffer).length;
    if (octets > MAX_OCTETS) throw new Error("the answer is too long");
    chunks.push(chunk as Buffer);
  }
  let body: unknown;
  try {
    body = JSON.parse(Buffer.concat(chunks).toString("utf8"));
  } catch {
    throw new Error(`what answers there is not rhumb (HTTP ${response.statusCode})`);
  }
  // Date is cut to the second: on average it lies half a second back.
  const skewMs = Number.isNaN(dateMs) ? undefined : dateMs + 500 - middleMs;
  return { status: response.statusCode!, body, skewMs };
}
