/**
 * What a TLS ClientHello asks for: the server's name and the protocols, read in passing, before anything is forwarded.
 *
 * Owns:    reassembly over TCP segments and TLS records (RFC 8446 §5.1: a handshake message may be spread over several),
 *          and the checks that keep a hostile name from getting any further.
 * Never:   throws, or reads beyond what came. It looks at nothing else of the hello: that is the backend's business.
 *          With ECH the name is the outer one.
 * Units:   octets.
 * @module
 */

/** Enough for post-quantum key shares (1.8 KB) in records of one octet each, and for 8 KiB in records of usual size. */
export const MAX_CLIENT_HELLO_OCTETS = 16_384;

export type ClientHello = {
  /** Lower case, without a final dot; undefined: the client named none. */
  readonly serverName: string | undefined;
  /** In the client's order. Octets as Latin-1, for they need not be text (GREASE, RFC 8701). */
  readonly alpn: readonly string[];
};
export type ClientHelloFault = keyof typeof ALERT;

/** What is wrong, and the alert that says so (RFC 8446 §6.2); `not-tls` gets none, for who sent it would not know it. */
const ALERT = {
  "not-tls": undefined,
  "not-a-hello": 10, // unexpected_message
  "bad-record": 10,
  "too-long": 22, // record_overflow
  malformed: 50, // decode_error
  "repeated-extension": 47, // illegal_parameter
  "bad-name": 112, // unrecognized_name (RFC 6066 §3)
  "no-route": 112,
} as const;

/** @returns a fatal alert as a record, or undefined where there is nobody to understand it */
export function alertRecord(fault: ClientHelloFault): Uint8Array | undefined {
  const description = ALERT[fault];
  return description && Uint8Array.of(ALERT_RECORD, 3, 1, 0, 2, FATAL, description);
}
const ALERT_RECORD = 21;
const FATAL = 2;

const HANDSHAKE_RECORD = 22;
const RECORD_HEAD_OCTETS = 5;
const MAX_FRAGMENT_OCTETS = 16_384;
const CLIENT_HELLO = 1;
const MESSAGE_HEAD_OCTETS = 4;
const SERVER_NAME = 0;
const ALPN = 16;
const HOST_NAME = 0;

/** @param octets all that came so far; what follows the hello is not looked at */
export function parseClientHello(octets: Uint8Array): "more" | { readonly fault: ClientHelloFault } | ClientHello {
  const message = reassemble(octets);
  if (typeof message === "string") {
    if (message !== "more") return { fault: message };
    return octets.length >= MAX_CLIENT_HELLO_OCTETS ? { fault: "too-long" } : "more";
  }
  const hello = readHello(message);
  return typeof hello === "string" ? { fault: hello } : hello;
}

/** @returns the message without its head. Octets are only copied where it is complete and lies in several records. */
function reassemble(octets: Uint8Array): Uint8Array | "more" | ClientHelloFault {
  const fragments: Uint8Array[] = [];
  const head: number[] = [];
  let wanted = 0;
  let got = 0;
  for (let at = 0; at < octets.length; ) {
    if (octets[at] !== HANDSHAKE_RECORD) return at === 0 ? "not-tls" : "bad-record";
    if (at + 1 < octets.length && octets[at + 1] !== 3) return at === 0 ? "not-tls" : "bad-record";
    if (at + RECORD_HEAD_OCTETS > octets.length) return "more";
    const length = (octets[at + 3]! << 8) | octets[at + 4]!;
    if (length === 0 || length > MAX_FRAGMENT_OCTETS) return "bad-record";
    at += RECORD_HEAD_OCTETS;
    const fragment = octets.subarray(at, at + length);
    at += length;
    for (let index = 0; head.length < MESSAGE_HEAD_OCTETS && index < fragment.length; index++) {
      head.push(fragment[index]!);
      if (head[0] !== CLIENT_HELLO) return "not-a-hello";
      if (head.length < MESSAGE_HEAD_OCTETS) continue;
      wanted = MESSAGE_HEAD_OCTETS + ((head[1]! << 16) | (head[2]! << 8) | head[3]!);
      if (wanted > MAX_CLIENT_HELLO_OCTETS) return "too-long";
    }
    fragments.push(fragment);
    got += fragment.length;
    if (wanted > 0 && got >= wanted) {
      const whole = fragments.length === 1 ? fragments[0]! : Buffer.concat(fragments);
      return whole.subarray(MESSAGE_HEAD_OCTETS, wanted);
    }
  }
  return "more";
}

/** RFC 8446 §4.1.2. */
function readHello(message: Uint8Array): ClientHello | ClientHelloFault {
  let at = 2 + 32; // legacy_version, random
  if (message.length < at + 1 || message[0] !== 3) return "malformed";
  const sessionOctets = message[at]!;
  if (sessionOctets > 32) return "malformed";
  at += 1 + sessionOctets;
  if (at + 2 > message.length) return "malformed";
  const suiteOctets = word(message, at);
  if (suiteOctets < 2 || suiteOctets % 2 !== 0) return "malformed";
  at += 2 + suiteOctets;
  if (at + 1 > message.length) return "malformed";
  const compressionOctets = message[at]!;
  at += 1 + compressionOctets;
  if (compressionOctets === 0 || at > message.length) return "malformed";
  if (at === message.length) return { serverName: undefined, alpn: [] }; // before TLS 1.3 extensions are optional
  if (at + 2 > message.length || word(message, at) !== message.length - at - 2) return "malformed";
  return readExtensions(message.subarray(at + 2));
}

function readExtensions(octets: Uint8Array): ClientHello | ClientHelloFault {
  const seen = new Set<number>();
  let serverName: string | undefined;
  let alpn: readonly string[] = [];
  for (let at = 0; at < octets.length; ) {
    if (at + 4 > octets.length) return "malformed";
    const type = word(octets, at);
    const end = at + 4 + word(octets, at + 2);
    if (end > octets.length) return "malformed";
    if (seen.has(type)) return "repeated-extension";
    seen.add(type);
    const value = octets.subarray(at + 4, end);
    at = end;
    if (type === SERVER_NAME) {
      const name = readServerName(value);
      if ("fault" in name) return name.fault;
      serverName = name.serverName;
    } else if (type === ALPN) {
      const protocols = readAlpn(value);
      if (!protocols) return "malformed";
      alpn = protocols;
    }
  }
  return { serverName, alpn };
}

/** RFC 6066 §3: a list, with at most one name of each kind; the only kind is a host name. */
function readServerName(octets: Uint8Array): { fault: ClientHelloFault } | { serverName: string | undefined } {
  if (octets.length < 2 + 3 || word(octets, 0) !== octets.length - 2) return { fault: "malformed" };
  let serverName: string | undefined;
  for (let at = 2; at < octets.length; ) {
    if (at + 3 > octets.length) return { fault: "malformed" };
    const end = at + 3 + word(octets, at + 1);
    if (end > octets.length) return { fault: "malformed" };
    if (octets[at] === HOST_NAME) {
      if (serverName !== undefined) return { fault: "malformed" };
      serverName = readHostName(octets.subarray(at + 3, end));
      if (serverName === undefined) return { fault: "bad-name" };
    }
    at = end;
  }
  return { serverName };
}

const MAX_NAME_OCTETS = 253; // RFC 1035 §2.3.4, as text
const MAX_LABEL_OCTETS = 63;
/** Letters, digits, hyphen, and the underscore, which no rule allows and many names have. */
function readHostName(octets: Uint8Array): string | undefined {
  if (octets.length === 0 || octets.length > MAX_NAME_OCTETS + 1) return undefined;
  // A final dot is forbidden by RFC 6066, and sent by some; it means the same name.
  const isRooted = octets[octets.length - 1] === 0x2e;
  const name = Buffer.from(octets.subarray(0, octets.length - (isRooted ? 1 : 0)))
    .toString("latin1")
    .toLowerCase();
  const isName =
    name.length <= MAX_NAME_OCTETS &&
    name.split(".").every((label) => label.length <= MAX_LABEL_OCTETS && /^[a-z0-9_-]+$/.test(label));
  return isName ? name : undefined;
}

/** RFC 7301 §3.1. */
function readAlpn(octets: Uint8Array): readonly string[] | undefined {
  if (octets.length < 2 + 2 || word(octets, 0) !== octets.length - 2) return undefined;
  const protocols: string[] = [];
  for (let at = 2; at < octets.length; ) {
    const end = at + 1 + octets[at]!;
    if (end === at + 1 || end > octets.length) return undefined;
    protocols.push(Buffer.from(octets.subarray(at + 1, end)).toString("latin1"));
    at = end;
  }
  return protocols;
}

const word = (octets: Uint8Array, at: number): number => (octets[at]! << 8) | octets[at + 1]!;
