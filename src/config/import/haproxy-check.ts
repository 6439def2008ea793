/**
 * `option httpchk`, `http-check` and the check words of server lines of HAProxy → the check of a pool.
 * @module
 */
import { compact } from "#config/import/draft.ts";
import { lastOf, type ProxySection, type Timeouts } from "#config/import/haproxy-proxy.ts";
import type { Line } from "#config/import/haproxy-read.ts";
import { countOption, type Server, timeOption } from "#config/import/haproxy-server.ts";
import { type Notes, quoted } from "#config/import/notes.ts";
import { durationText, HOUR, MINUTE } from "#config/import/words.ts";

/** HAProxy's own: `inter 2s`, `fall 3`, `rise 2`. */
const DEFAULTS = { interMs: 2_000, fall: 3, rise: 2 };
const METHODS = ["GET", "HEAD", "POST", "OPTIONS"];
/** Protocols that HAProxy can speak in checks, and rhumb not. */
const OTHER_CHECKS = ["mysql-check", "pgsql-check", "redis-check", "smtpchk", "ldap-check", "spop-check"];

type HttpCheck = { method: string; path: string; host: string | undefined; headers: Record<string, string> };

/** Headers as they stood behind the version before `http-check send` was there: `HTTP/1.1\r\nHost:\ www`. */
function oldHeaders(text: string, check: HttpCheck): void {
  for (const header of text.split(/\r?\n/).slice(1)) {
    const [, name, value] = /^([A-Za-z0-9-]+):\s*(.*?)\s*$/.exec(header) ?? [];
    setHeader(check, name, value);
  }
}
function setHeader(check: HttpCheck, name: string | undefined, value: string | undefined): void {
  if (name === undefined || !value) return;
  if (name.toLowerCase() === "host") check.host = value;
  else if (/^[A-Za-z][A-Za-z0-9-]*$/.test(name)) check.headers[name] = value;
}

function readSend({ words, at }: Line, check: HttpCheck, notes: Notes): void {
  for (let index = 2; index < words.length; index++) {
    const word = words[index]!;
    const value = words[index + 1] ?? "";
    if (word === "meth") check.method = value;
    else if (word === "uri") check.path = value;
    else if (word === "hdr") setHeader(check, value, words[++index + 1]);
    else if (word !== "ver")
      notes.leftOut({ ...at, directive: `http-check send ${word}` }, "Checks send no such thing", "Leave it out");
    index++;
  }
}

function readExpect(lines: readonly Line[], notes: Notes): Record<string, unknown> {
  const expect: { status?: (string | number)[]; body?: string } = {};
  for (const { words, at } of lines) {
    const rest = words
      .slice(2)
      .filter(
        (word, index, all) =>
          !/^(min-recv|comment|ok-status|error-status|tout-status|on-success|on-error|status-code)$/.test(word) &&
          !/^(min-recv|comment|ok-status|error-status|tout-status|on-success|on-error|status-code)$/.test(
            all[index - 1] ?? "",
          ),
      );
    const [match, pattern = ""] = rest;
    const statuses = pattern.split(",").filter((status) => /^[1-5]\d\d(-[1-5]\d\d)?$/.test(status));
    if (match === "status" && statuses.length > 0)
      expect.status = [
        ...(expect.status ?? []),
        ...statuses.map((status) => (status.includes("-") ? status : Number(status))),
      ];
    else if (match === "string" && pattern !== "") expect.body = pattern;
    else
      notes.leftOut(
        { ...at, directive: `http-check expect ${quoted(match ?? "")}` },
        "Checks compare statuses and plain text, no patterns and no opposites",
        "Use `expect: { status: [200-299], body: text }`",
      );
  }
  // HAProxy asks for 2xx or 3xx where nothing is said (`option httpchk`).
  return compact({
    status: expect.status ?? (expect.body === undefined ? ["200-399"] : ["100-599"]),
    body: expect.body,
  });
}

function readHttp(proxy: ProxySection, option: Line | undefined, notes: Notes): Record<string, unknown> {
  const words = option?.words.slice(2) ?? [];
  const check: HttpCheck = { method: "OPTIONS", path: "/", host: undefined, headers: {} };
  if (words.length === 1) check.path = words[0]!;
  else if (words.length > 1) [check.method, check.path] = [words[0]!, words[1]!];
  oldHeaders(words.slice(2).join(" "), check);
  const expects: Line[] = [];
  for (const line of proxy.all) {
    if (line.words[0] !== "http-check") continue;
    if (line.words[1] === "send") readSend(line, check, notes);
    else if (line.words[1] === "expect") expects.push(line);
    else notes.leftOut(line.at, `Checks know no ${quoted(line.words[1] ?? "")}`, "Leave it out");
  }
  const at = option?.at ?? proxy.at;
  if (!METHODS.includes(check.method)) {
    notes.changed(at, `Checks know no method ${quoted(check.method)}; GET is written`, "Choose a method of the check");
    check.method = "GET";
  }
  if (!/^\/[\x21-\x7e]*$/.test(check.path)) {
    notes.changed(at, `${quoted(check.path)} is no path; / is written`, "Write a path such as /health");
    check.path = "/";
  }
  return compact({
    method: check.method,
    path: check.path,
    host: check.host?.replace(/[^\x21-\x7e]/g, ""),
    headers: check.headers,
    expect: readExpect(expects, notes),
  });
}

/** The one check that a pool has; where servers differ, the first that is checked speaks for all. */
export function checkOf(proxy: ProxySection, servers: readonly Server[], timeouts: Timeouts, notes: Notes): unknown {
  const checked = servers.filter(({ options }) => options.has("check"));
  const first = checked[0];
  if (!first) return "none";
  for (const server of servers) {
    if (!server.options.has("check"))
      notes.changed(
        server.at,
        "HAProxy does not check this server; here a pool's check is for all of it",
        "Put it into a pool of its own with `check: none`",
      );
  }
  const interMs = timeOption(first, "inter", notes) ?? DEFAULTS.interMs;
  const fall = countOption(first, "fall", 1, 100, notes) ?? DEFAULTS.fall;
  const rise = countOption(first, "rise", 1, 100, notes) ?? DEFAULTS.rise;
  const intervalMs = Math.min(Math.max(interMs, 100), HOUR);
  const timeoutMs = Math.min(timeouts.get("check")?.ms ?? intervalMs, intervalMs, 5 * MINUTE);
  const told = ["inter", "fall", "rise", "port", "check-ssl", "check-sni", "addr"] as const;
  for (const { options, at } of checked.slice(1)) {
    const other = told.find((option) => options.get(option) !== first.options.get(option));
    if (other !== undefined)
      notes.changed(
        { ...at, directive: other },
        `A pool has one check; that of server ${quoted(first.name)} is taken`,
        "Make pools of servers that are checked alike",
      );
  }
  for (const option of ["fastinter", "downinter"]) {
    if (first.options.has(option))
      notes.changed(
        { ...first.at, directive: option },
        "Checks have one interval, whatever the state",
        "Choose an `interval` that suits both",
      );
  }
  if (first.options.has("addr"))
    notes.leftOut({ ...first.at, directive: "addr" }, "Checks go to the backend's own address", "Use `kind: script`");
  const httpchk = lastOf(proxy, "option", "httpchk");
  // It says hello, and looks at no certificate.
  const isHello = lastOf(proxy, "option", "ssl-hello-chk") !== undefined;
  const isHttp = httpchk !== undefined;
  const isTls = first.options.has("check-ssl") || (first.options.has("ssl") && !first.options.has("port")) || isHello;
  for (const name of [...OTHER_CHECKS, "external-check", "tcp-check"]) {
    const line = lastOf(proxy, "option", name);
    if (line)
      notes.changed(
        { ...line.at, directive: `option ${name}` },
        `Checks do not speak it${name === "tcp-check" ? " by tcp-check rules" : ""}: a connection has to be accepted`,
        "Use `kind: script` for more",
      );
  }
  const rules = proxy.all.find(({ words }) => words[0] === "tcp-check");
  if (rules) notes.leftOut(rules.at, "Checks send and expect nothing over plain TCP", "Use `kind: script`");
  const serverName = first.options.get("check-sni") ?? undefined;
  return compact({
    kind: isHttp ? (isTls ? "https" : "http") : isTls ? "tls" : "tcp",
    port: countOption(first, "port", 1, 65_535, notes),
    ...(isHttp ? readHttp(proxy, httpchk, notes) : {}),
    ...(isTls ? { serverName, verify: isHello ? false : first.options.get("verify") !== "none" } : {}),
    interval: durationText(intervalMs, 100, HOUR),
    timeout: durationText(timeoutMs, 10, intervalMs),
    thresholds: { down: fall, up: rise, ok: 1 },
    ...((fall - 1) * intervalMs < 2_000 ? { downSpan: "0s" } : {}),
  });
}
