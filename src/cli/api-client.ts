/**
 * The control API as the command line uses it: http, https, or a Unix socket; problem details become errors.
 * @module
 */
import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { RhumbError } from "#base/errors.ts";

export type ApiAddress = { readonly url: URL; readonly socketPath: string | undefined; readonly isLocal: boolean };

/** `http://127.0.0.1:8053`, `https://…`, or `unix:/run/rhumb.sock`. @throws RhumbError RHUMB_CLI_USAGE */
export function parseApiAddress(text: string): ApiAddress {
  if (text.startsWith("unix:") && text.length > 5) {
    return { url: new URL("http://localhost/"), socketPath: text.slice(5), isLocal: true };
  }
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (!url || !/^https?:$/.test(url.protocol)) throw new RhumbError("RHUMB_CLI_USAGE", `--api ${text}`);
  const host = url.hostname.replace(/^\[|\]$/g, "");
  return { url, socketPath: undefined, isLocal: /^127\./.test(host) || host === "::1" || host === "localhost" };
}

/** What the server said no to, in its own words. */
export class ApiRefusal extends Error {
  readonly status: number;
  readonly fix: string;
  readonly problems: readonly Record<string, unknown>[];
  constructor(status: number, title: string, fix: string, problems: readonly Record<string, unknown>[]) {
    super(title);
    this.name = "ApiRefusal";
    this.status = status;
    this.fix = fix;
    this.problems = problems;
  }
}

export type ApiClient = {
  /** @returns the parsed JSON; YAML as text. @throws ApiRefusal, RhumbError RHUMB_CLI_NO_ANSWER */
  call(method: string, path: string, body?: unknown): Promise<unknown>;
  /** Calls `onEvent` with each server-sent event's id and data until the stream ends. Same errors. */
  follow(path: string, lastId: string | undefined, onEvent: (id: string, data: string) => void): Promise<void>;
};

const TIMEOUT_MS = 30_000;

export function createApiClient(options: { api: string; token: string | undefined }): ApiClient {
  const { api, token } = options;
  const { url: base, socketPath } = parseApiAddress(api);

  function open(
    method: string,
    path: string,
    headers: Record<string, string>,
    payload?: string,
  ): Promise<IncomingMessage> {
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    const url = new URL(path, base);
    const request = (url.protocol === "https:" ? httpsRequest : httpRequest)(
      url,
      {
        method,
        agent: false,
        ...(socketPath === undefined ? {} : { socketPath }),
        headers: { ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...headers },
      },
      (response) => {
        request.setTimeout(0);
        resolve(response);
      },
    );
    request.setTimeout(TIMEOUT_MS, () => request.destroy(new Error(`no answer within ${TIMEOUT_MS / 1_000} s`)));
    request.on("error", (cause) => reject(new RhumbError("RHUMB_CLI_NO_ANSWER", api, { cause })));
    request.end(payload);
    return promise;
  }

  async function read(response: IncomingMessage): Promise<string> {
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks).toString("utf8");
  }

  function refuse(response: IncomingMessage, text: string): never {
    let details: Record<string, unknown> = {};
    try {
      details = JSON.parse(text) as Record<string, unknown>;
    } catch {
      // not ours: said below
    }
    const { title, fix, problems } = details;
    if (typeof title !== "string" || typeof fix !== "string") throw new RhumbError("RHUMB_CLI_NOT_OURS", api);
    const list = Array.isArray(problems) ? (problems as Record<string, unknown>[]) : [];
    throw new ApiRefusal(response.statusCode!, title, fix, list);
  }

  return {
    async call(method, path, body) {
      const payload = body === undefined ? undefined : JSON.stringify(body);
      const headers: Record<string, string> = { accept: "application/json" };
      if (payload !== undefined) headers["content-type"] = "application/json";
      const response = await open(method, path, headers, payload);
      const text = await read(response);
      const type = response.headers["content-type"] ?? "";
      // 503 of /readyz is an answer, not a refusal: only problem details are refusals.
      if (type.startsWith("application/problem+json") || response.statusCode! >= 400) refuse(response, text);
      if (type.startsWith("application/yaml")) return text;
      if (!type.startsWith("application/json")) throw new RhumbError("RHUMB_CLI_NOT_OURS", api);
      try {
        return JSON.parse(text);
      } catch (cause) {
        throw new RhumbError("RHUMB_CLI_NOT_OURS", api, { cause });
      }
    },
    async follow(path, lastId, onEvent) {
      const headers = { accept: "text/event-stream", ...(lastId === undefined ? {} : { "last-event-id": lastId }) };
      const response = await open("GET", path, headers);
      if (response.statusCode !== 200) refuse(response, await read(response));
      response.setEncoding("utf8");
      let buffer = "";
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      response.on("data", (chunk: string) => {
        buffer += chunk;
        try {
          for (let end = buffer.indexOf("\n\n"); end >= 0; end = buffer.indexOf("\n\n")) {
            const fields = new Map<string, string>();
            for (const line of buffer.slice(0, end).split("\n")) {
              const colon = line.indexOf(": ");
              if (colon > 0) fields.set(line.slice(0, colon), line.slice(colon + 2));
            }
            buffer = buffer.slice(end + 2);
            const id = fields.get("id");
            if (id !== undefined) onEvent(id, fields.get("data") ?? "");
          }
        } catch (error) {
          reject(error);
          response.destroy();
        }
      });
      response.on("error", () => {}); // the connection broke; the caller comes back with the last id
      response.once("close", resolve);
      await promise;
    },
  };
}
