/**
 * The cases of llhttp's own tests (nodejs/llhttp `test/`, MIT), at strict settings: taken or refused as llhttp does, whole
 * and octet by octet. Where we differ, on purpose, it stands in the table, and in docs/http1-rules.md.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import path from "node:path";
import test from "node:test";
import { judgeRequests, judgeResponses } from "./codec-bed.ts";

const folder = process.env["RHUMB_TEST_DATA"] ?? path.join(import.meta.dirname, "../../../../shared/data");
type Case = {
  readonly file: string;
  readonly name: string;
  readonly meta: { readonly type: string };
  readonly input_md: string;
  readonly error_code: number | null;
};
const cases: readonly Case[] = JSON.parse(readFileSync(path.join(folder, "llhttp-cases.json"), "utf8"));

/** Not faults: pauses that a case asks for, and the end of HTTP at CONNECT or an upgrade. */
const PAUSE_UPGRADE = 22;
const PAUSES = new Set([21, PAUSE_UPGRADE]);

/** By file and name: the rule that we refuse by, or `taken`, and why. */
const DIFFERENCES: Readonly<Record<string, readonly [ours: string, why: string]>> = {
  "request/content-length.md: `Content-Length` with zeroes": ["R18", "leading zeros are octal to some"],
  "request/content-length.md: `Content-Length` with follow-up headers": ["R18", "leading zeros are octal to some"],
  "request/method.md: CONNECT request": ["R30", "a reverse proxy opens no tunnels"],
  "request/method.md: CONNECT request with CAPS": ["R30", "a reverse proxy opens no tunnels"],
  "request/method.md: CONNECT with body": ["R30", "a reverse proxy opens no tunnels"],
  "request/uri.md: Underscore in hostname": ["R30", "a reverse proxy opens no tunnels"],
  "request/method.md: M-SEARCH request": ["R6", "`*` is of OPTIONS alone"],
  "request/method.md: SOURCE request with ICE": ["R5", "HTTP alone is spoken"],
  "request/method.md: OPTIONS request with RTSP": ["R5", "HTTP alone is spoken"],
  "request/method.md: ANNOUNCE request with RTSP": ["R5", "HTTP alone is spoken"],
  "response/sample.md: RTSP response": ["R5", "HTTP alone is spoken"],
  "response/sample.md: ICE response": ["R5", "HTTP alone is spoken"],
  "request/sample.md: No HTTP version": ["R5", "HTTP/0.9 has no end of a request"],
  "response/sample.md: HTTP version 0.9": ["R5", "HTTP/0.9 has no heads"],
  "request/invalid.md: HTTP protocol and ANNOUNCE method": [
    "taken",
    "any token is a method: backends know more of them",
  ],
  "request/invalid.md: Invalid method": ["taken", "any token is a method: backends know more of them"],
  "request/sample.md: curl GET": ["R17", "Host `0.0.0.0=5000` is no host and port"],
  "request/sample.md: Firefox GET": ["R17", "Host `0.0.0.0=5000` is no host and port"],
  "request/transfer-encoding.md: POST with `chunked` as last transfer-encoding": [
    "R21",
    "no other coding is undone (501)",
  ],
  "request/transfer-encoding.md: POST with `chunked` as last transfer-encoding (multiple headers)": [
    "R21",
    "no other coding is undone (501)",
  ],
  "request/uri.md: Quotes in URI": ["R6", "no URI holds quotes unescaped"],
  "request/uri.md: Query URL with vertical bar character": ["R6", "no URI holds a bar unescaped"],
  "request/uri.md: Fragment in URI": ["R6", "fragments are not sent"],
  "request/uri.md: `host:port` and basic auth": ["R6", "userinfo in http URIs hides the host (RFC 9110 §4.2.4)"],
  "response/connection.md: HTTP 101 response with Upgrade and Content-Length header": ["R32", "1xx have no body"],
  "response/connection.md: HTTP 101 response with Upgrade and Transfer-Encoding header": ["R32", "1xx have no body"],
  "response/connection.md: HTTP 304 with Content-Length": ["R2", "no empty line stands before a response"],
  "response/connection.md: HTTP 100 first, then 400": ["R2", "no empty line stands before a response"],
  "response/pipelining.md: Should parse multiple events": ["R2", "no empty line stands before a response"],
  "response/sample.md: Response starting with CRLF": ["R2", "no empty line stands before a response"],
  "response/transfer-encoding.md: `chunked` before other transfer-encoding": ["R21", "where it ends is anyone's guess"],
  "response/transfer-encoding.md: multiple transfer-encoding where chunked is not the last one": [
    "R21",
    "where it ends is anyone's guess",
  ],
  "response/transfer-encoding.md: `chunkedchunked` transfer-encoding does not enable chunked enconding": [
    "R21",
    "no other coding is undone",
  ],
  "request/connection.md: CRLF between requests, explicit `close`": ["rest", "what follows `close` is not read"],
};

/** As llhttp's own harness reads the block of a case: escaped line ends go, plain ones are CRLF, escapes are undone. */
const octetsOf = (block: string): string =>
  Buffer.from(
    block
      .split("\n```")[0]!
      .replace(/\\\n/g, "")
      .replace(/\n/g, "\r\n")
      .replace(/\\([rntf])/g, (_all, char: string) => ({ r: "\r", n: "\n", t: "\t", f: "\f" })[char]!)
      .replace(/\\x([0-9a-fA-F]{2})/g, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16))),
  ).toString("latin1");

/** Most cases have no Host, and some a fragment, beside what they are about: both would be refused before it is seen. */
function withHost(input: string): string {
  const text = input.replace("q=search#hey", "q=search");
  if (/^host:/im.test(text)) return text;
  const host = /^\S+ https?:\/\/([^/?\s]+)/.exec(text)?.[1] ?? "a.example";
  return text.replace(/( HTTP\/1\.1\r\n)/g, `$1Host: ${host}\r\n`);
}

function verdictOf(one: Case, isTaken: boolean): string {
  const isRequest = one.meta.type.startsWith("request");
  const input = isRequest ? withHost(octetsOf(one.input_md)) : octetsOf(one.input_md);
  const judge = (text: string) =>
    isRequest ? judgeRequests(text, { isOpen: true }) : judgeResponses(text, "GET", { isOpen: true });
  let reading = judge(input);
  // We judge fields when all of them are there (R8), llhttp as they come.
  if (reading.isAmidHead && !isTaken) reading = judge(`${input}\r\n\r\n`);
  // After a request to upgrade llhttp reads no further.
  if (one.error_code === PAUSE_UPGRADE && isRequest && reading.messages.length > 0) return "taken";
  if (reading.fault) return reading.fault.rule;
  const last = reading.messages.at(-1)?.head;
  const isTunnel = last !== undefined && "status" in last && last.status === 101;
  return reading.rest === "" || isTunnel ? "taken" : "rest";
}

test("llhttp's cases are there, and the table names some of them", () => {
  assert.ok(cases.length > 200);
  const names = new Set(cases.map((one) => `${one.file.slice("test/".length)}: ${one.name}`));
  assert.deepEqual(
    Object.keys(DIFFERENCES).filter((name) => !names.has(name)),
    [],
  );
});
for (const one of cases) {
  const name = `${one.file.slice("test/".length)}: ${one.name}`;
  const isLenient = one.meta.type.includes("lenient");
  const isTaken = !isLenient && (one.error_code === null || PAUSES.has(one.error_code));
  const difference = DIFFERENCES[name];
  test(`llhttp ${name} (${one.meta.type}) is ${difference?.[0] ?? (isTaken ? "taken" : "refused")}`, () => {
    const verdict = verdictOf(one, isTaken);
    if (difference) {
      assert.equal(verdict, difference[0], difference[1]);
      assert.notEqual(verdict === "taken", isTaken, "llhttp does the same: it is no difference");
    } else assert.equal(verdict === "taken", isTaken, `ours: ${verdict}; llhttp: ${one.error_code}`);
  });
}
test("docs/http1-rules.md lists every difference", () => {
  const page = readFileSync(path.join(import.meta.dirname, "../../../docs/http1-rules.md"), "utf8");
  assert.deepEqual(
    Object.entries(DIFFERENCES).filter(([name, [ours, why]]) => {
      const [file, ...rest] = name.split(": ");
      return !page.includes(`| ${file} | ${rest.join(": ")} | ${ours} | ${why} |`);
    }),
    [],
  );
});
