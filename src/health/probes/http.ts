/**
 * HTTP and HTTPS probes: one request of HTTP/1.1 on a new connection (RFC 9112), status and body judged.
 *
 * A redirect is an answer with status 301, not an invitation. A response is judged when its head is complete, or, with
 * an expected body, when the text was seen, the body ended, or 64 KiB of it have passed.
 * @module
 */
import { type Opinion, type Reader, startExchange } from "#health/probes/exchange.ts";
import { createBodyDecoder } from "#health/probes/http-body.ts";
import type { MonotonicMs, ProbeResult, RunningProbe } from "#health/probes/probe.ts";
import type { HttpCheck } from "#state/snapshot.ts";

const MAX_HEAD_OCTETS = 16_384;
const DEFAULT_PORT = { http: 80, https: 443 } as const;
const HEAD_END = Buffer.from("\r\n\r\n");

const ALPN = ["http/1.1"];
/** What an https check without `tls:` means: encrypted, but anybody's certificate. */
const ANY_CERTIFICATE = { serverName: undefined, verify: false, minDaysLeft: 0, caFile: undefined };

const protocolFault = (says: string): Opinion => ({ ok: false, errorClass: "protocol", says });
const oneLine = (text: string): string => text.replace(/[\r\n\0]+/g, " ");

type Template = { readonly beforeHost: string; readonly afterHost: string; readonly accepted: Map<number, Opinion> };
const templates = new WeakMap<HttpCheck, Template>();

function templateOf(check: HttpCheck): Template {
  let template = templates.get(check);
  if (template === undefined) {
    const headers = Object.entries(check.headers)
      .filter(([name]) => !/^(host|connection|content-length|transfer-encoding)$/i.test(name))
      .map(([name, value]) => `${oneLine(name)}: ${oneLine(value)}\r\n`);
    const names = new Set(Object.keys(check.headers).map((name) => name.toLowerCase()));
    if (!names.has("user-agent")) headers.push("User-Agent: rhumb-health\r\n");
    if (!names.has("accept")) headers.push("Accept: */*\r\n");
    if (check.method === "POST") headers.push("Content-Length: 0\r\n");
    template = {
      beforeHost: `${check.method} ${oneLine(check.path)} HTTP/1.1\r\nHost: `,
      afterHost: `\r\n${headers.join("")}Connection: close\r\n\r\n`,
      accepted: new Map(),
    };
    templates.set(check, template);
  }
  return template;
}

/** The request's octets as latin1 text. */
export function formatRequest(check: HttpCheck, address: string): string {
  const template = templateOf(check);
  const bare = address.includes(":") ? `[${address}]` : address;
  const host = check.host ?? (check.port === DEFAULT_PORT[check.kind] ? bare : `${bare}:${check.port}`);
  return template.beforeHost + oneLine(host) + template.afterHost;
}

const sayRanges = (ranges: HttpCheck["status"]): string =>
  ranges.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(", ");

function judgeStatus(check: HttpCheck, status: number): Opinion {
  const { accepted } = templateOf(check);
  let opinion = accepted.get(status);
  if (opinion === undefined) {
    const ok = check.status.some(([from, to]) => status >= from && status <= to);
    opinion = ok
      ? { ok, errorClass: "none", status, says: `HTTP status ${status}` }
      : { ok, errorClass: "status", status, says: `HTTP status ${status}, expected ${sayRanges(check.status)}` };
    accepted.set(status, opinion);
  }
  return opinion;
}

/** Reads one response; a pure function of the octets fed to it. */
export function createResponseReader(check: HttpCheck): Reader {
  let head: Buffer | undefined;
  let body: ReturnType<typeof createBodyDecoder> | undefined;
  let verdict: Opinion | undefined;

  const judgeBody = (isEnd: boolean): Opinion | undefined => {
    if (body!.includes(check.body!)) return verdict;
    if (body!.fault !== undefined) return protocolFault(body!.fault);
    if (!isEnd && !body!.isEnded && !body!.isFull) return undefined;
    const where = body!.isFull ? "in the first 64 KiB of the body" : "in the body";
    return { ...verdict!, ok: false, errorClass: "body", says: `${JSON.stringify(check.body)} is not ${where}` };
  };

  const readHead = (octets: Buffer): Opinion | undefined => {
    for (;;) {
      const end = octets.indexOf(HEAD_END);
      if (octets.length >= 5 && octets.toString("latin1", 0, 5) !== "HTTP/")
        return protocolFault("the answer is not HTTP");
      if (end < 0) {
        if (octets.length > MAX_HEAD_OCTETS) return protocolFault("the head of the answer exceeds 16 KiB");
        head = Buffer.from(octets); // a copy: the exchange reuses its buffer
        return undefined;
      }
      const match = /^HTTP\/1\.[01] ([1-9][0-9][0-9])(?: |\r|$)/.exec(octets.toString("latin1", 0, Math.min(end, 64)));
      if (match === null) return protocolFault("the answer is not HTTP/1.1");
      const status = Number(match[1]);
      if (status >= 200 || status === 101) {
        verdict = judgeStatus(check, status);
        if (!verdict.ok || check.body === undefined) return verdict;
        const bodyless = check.method === "HEAD" || status === 204 || status === 304;
        body = createBodyDecoder(octets.toString("latin1", 0, end + 2), bodyless);
        body.read(octets.subarray(end + 4));
        return judgeBody(false);
      }
      octets = octets.subarray(end + 4); // an interim response (RFC 9110 §15.2): the final one follows
    }
  };

  return {
    read(chunk) {
      if (body !== undefined) {
        body.read(chunk);
        return judgeBody(false);
      }
      return readHead(head === undefined ? chunk : Buffer.concat([head, chunk]));
    },
    end() {
      if (body !== undefined) return judgeBody(true)!;
      return head === undefined
        ? { ok: false, errorClass: "reset", says: "closed by the target without an answer" }
        : protocolFault("closed by the target within the head of the answer");
    },
  };
}

export function startHttpProbe(
  address: string,
  check: HttpCheck,
  monotonicMs: MonotonicMs,
  nowMs: number,
  done: (result: ProbeResult) => void,
): RunningProbe {
  return startExchange(
    {
      address,
      port: check.port,
      tls: check.kind === "https" ? (check.tls ?? ANY_CERTIFICATE) : undefined,
      alpn: ALPN,
      request: formatRequest(check, address),
      reader: createResponseReader(check),
      nowMs,
    },
    monotonicMs,
    done,
  );
}
