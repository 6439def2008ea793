/**
 * `bind` lines of HAProxy → places to listen, with what they say of TLS and of PROXY headers.
 * @module
 */
import type { Line } from "#config/import/haproxy-read.ts";
import { type Notes, quoted } from "#config/import/notes.ts";
import { isListenHost, listenText, lookUp, parseCount } from "#config/import/words.ts";

export type Bind = {
  readonly line: Line;
  readonly listen: string;
  readonly port: number;
  readonly isTls: boolean;
  readonly certificates: readonly { readonly cert: string; readonly key: string }[];
  readonly alpn: readonly string[];
  readonly acceptsProxy: boolean;
  readonly maxConnections: number | undefined;
  readonly backlog: number | undefined;
};

/** A range of ports that is longer is nobody's list of services. */
const MAX_RANGE = 64;
const WITH_ARGUMENT = new Set(
  "crt crt-list alpn npn ca-file ca-verify-file ca-sign-file ca-sign-pass crl-file verify ciphers ciphersuites curves ecdhe sigalgs client-sigalgs ssl-min-ver ssl-max-ver maxconn backlog interface name id guid-prefix process thread shards nice mode user group uid gid namespace proto tcp-ut mss level severity-output expose-fd tls-ticket-keys crt-ignore-err ca-ignore-err label quic-cc-algo quic-socket default-crt nbconn ocsp-update idle-ping ssl-default ktls".split(
    " ",
  ),
);
const WITHOUT_EFFECT = new Set(
  "name id guid-prefix process thread shards nice v4v6 v6only defer-accept tfo no-alpn ssl-min-ver label".split(" "),
);
const LATER: Readonly<Record<string, readonly [string, string]>> = {
  "crt-list": ["Lists of certificates are not read", "Write each one into `certificates:`"],
  verify: ["Clients are not asked for certificates", "Use `protocol: tls-passthrough`, and let the backend ask"],
  "ca-file": ["Clients are not asked for certificates", "Use `protocol: tls-passthrough`, and let the backend ask"],
  transparent: ["Addresses that are not of this machine are not listened on", "Add the address to this machine"],
  "accept-netscaler-cip": ["That header is not read", "Let the balancer before this one send PROXY headers"],
  interface: ["Listeners belong to an address, not to a device", "Write the address of the device"],
};

type Options = Map<string, string[]>;
function readOptions({ words, at }: Line, notes: Notes): Options {
  const options: Options = new Map();
  for (let index = 2; index < words.length; index++) {
    const word = words[index]!;
    const argument = WITH_ARGUMENT.has(word) ? (words[++index] ?? "") : "";
    options.set(word, [...(options.get(word) ?? []), argument]);
    if (
      ["ssl", "crt", "default-crt", "alpn", "accept-proxy", "maxconn", "backlog"].includes(word) ||
      WITHOUT_EFFECT.has(word)
    )
      continue;
    if (word === "verify" && argument === "none") continue;
    const [says, fix] = lookUp(LATER, word) ?? ["There is nothing like it for listeners", "Leave it out"];
    notes.leftOut({ ...at, directive: `bind … ${word}` }, says, fix);
  }
  return options;
}

/** @param base of relative paths: `crt-base` of the section `global` */
function certificatesOf(options: Options, base: string, line: Line, notes: Notes): Bind["certificates"] {
  return [...(options.get("default-crt") ?? []), ...(options.get("crt") ?? [])].flatMap((crt) => {
    const path = crt.startsWith("/") || base === "" ? crt : `${base.replace(/\/$/, "")}/${crt}`;
    if (path === "" || path.endsWith("/") || path.startsWith("@") || !/\.[A-Za-z0-9]+$/.test(path)) {
      const says = `${quoted(crt)} looks like a folder or a store of certificates, which is not looked into`;
      notes.leftOut({ ...line.at, directive: "bind … crt" }, says, "Write each certificate into `certificates:`");
      return [];
    }
    return [{ cert: path, key: path }];
  });
}

export function bindsOf(line: Line, crtBase: string, notes: Notes): Bind[] {
  const { words, at } = line;
  const options = readOptions(line, notes);
  const isTls = options.has("ssl");
  const certificates = isTls ? certificatesOf(options, crtBase, line, notes) : [];
  const number = (option: string, max: number) => {
    const text = options.get(option)?.at(-1);
    const count = parseCount(text, 1, max);
    if (text !== undefined && count === undefined)
      notes.leftOut({ ...at, directive: `bind … ${option}` }, `${quoted(text)} is no number`, "Correct it");
    return count;
  };
  const shared = {
    line,
    isTls,
    certificates,
    alpn: (options.get("alpn")?.at(-1) ?? "").split(",").filter((name) => name !== "" && name.length <= 255),
    acceptsProxy: options.has("accept-proxy"),
    maxConnections: number("maxconn", 1_000_000),
    backlog: number("backlog", 65_535),
  };
  return (words[1] ?? "").split(",").flatMap((text): Bind[] => {
    const plain = text.replace(/^(ipv4|ipv6|tcp|tcp4|tcp6)@/, "");
    const [, host = "", from, to = from] = /^(.*):(\d{1,5})(?:-(\d{1,5}))?$/.exec(plain) ?? [];
    const first = parseCount(from, 1, 65_535);
    const last = parseCount(to, 1, 65_535);
    if (first === undefined || last === undefined || !isListenHost(host) || last < first) {
      const says = /^(unix|abns|fd|sockpair|quic|udp|rhttp)[46]?@|^\//.test(plain)
        ? "Listeners are addresses with a port, over TCP"
        : "Cannot tell where to listen";
      notes.leftOut(at, `${says}: ${quoted(text)}`, "Write a `listen:` address and port");
      return [];
    }
    if (last - first >= MAX_RANGE) {
      notes.leftOut(at, `The range ${quoted(text)} is too long for a listener each`, "Use a pool with `mode: nft`");
      return [];
    }
    return Array.from({ length: last - first + 1 }, (_, index) => ({
      ...shared,
      port: first + index,
      listen: listenText(host, first + index),
    }));
  });
}
