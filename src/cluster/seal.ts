/**
 * How a record travels: one line of text, signed as it stands.
 *
 *     rhumb1 SIGNATURE KIND KEY EPOCH SEQUENCE NODE AT_MS TTL_MS BODY
 *
 * The signature (Ed25519, RFC 8032; 86 characters of base64url) is over everything behind it. What decides whether a record
 * is wanted at all stands before the body, so that nobody's JSON is parsed before its signature was found good. A signal is
 * the same line with a kind that begins with `~`. A *copy* is such a line behind its age in ms, which whoever passes it on
 * knows: it can only shorten its life.
 *
 * Owns:    the form of the line and of stamps. Pure.
 * Never:   throws for what others wrote.
 * @module
 */
import {
  compareVersions,
  RECORD_KINDS,
  type RecordKind,
  type RecordVersion,
  type SharedRecord,
  type SignalKind,
} from "#state/shared.ts";

const FORM = "rhumb1";
/** What is signed begins with this, so that no signature of the same key made for something else passes for a record's. */
const SIGNED_AS = "rhumb record 1\n";
/** All numbers stay exact, and one more than any of them does too. */
const NUMBER = "(0|[1-9][0-9]{0,14})";
const LINE = new RegExp(
  `^${FORM} (-|[A-Za-z0-9_-]{86}) (~?[a-z]{1,16}) ([!-~]{1,512}) ${NUMBER} ${NUMBER} ([a-z0-9][a-z0-9._-]{0,62}) ${NUMBER} (0|[1-9][0-9]{0,15}) `,
);
/** The longest head that `LINE` can match: no more of a line is looked at. */
const MAX_HEAD_OCTETS = 800;
const COPY = /^(0|[1-9][0-9]{0,14}) /;

/** Kinds that any node may change: their versions follow all that is known, and they outlive their node. */
export const isSharedKind = (kind: RecordKind): boolean =>
  kind === "override" || kind === "config" || kind === "evacuation";
const SIGNAL_KINDS: readonly SignalKind[] = ["votes"];

export type Line = {
  /** Of a signal: `key` is empty and `ttlMs` 0. */
  readonly signal: SignalKind | undefined;
  readonly kind: RecordKind;
  readonly key: string;
  readonly version: RecordVersion;
  readonly atMs: number;
  readonly ttlMs: number;
  readonly signature: string;
  /** What was signed, without its prefix; ends with the body. */
  readonly payload: string;
  readonly bodyAt: number;
  readonly text: string;
};

export const signedText = (payload: string): string => SIGNED_AS + payload;

/** @param sign of a text, as base64url */
export function sealRecord(record: SharedRecord, sign: (text: string) => string): string {
  return seal(record.kind, encodeURI(record.key.toWellFormed()), record, sign);
}
export function sealSignal(
  signal: { readonly kind: SignalKind; readonly version: RecordVersion; readonly atMs: number; readonly body: unknown },
  sign: (text: string) => string,
): string {
  return seal(`~${signal.kind}`, "-", { ...signal, ttlMs: 0 }, sign);
}
function seal(
  kind: string,
  key: string,
  of: Pick<SharedRecord, "version" | "atMs" | "ttlMs"> & { readonly body: unknown },
  sign: (text: string) => string,
): string {
  const { epoch, sequence, node } = of.version;
  const payload = `${kind} ${key} ${epoch} ${sequence} ${node} ${of.atMs} ${of.ttlMs} ${JSON.stringify(of.body)}`;
  return `${FORM} ${sign(signedText(payload))} ${payload}`;
}

/** Reads all but the body. */
export function readLine(text: string): Line | "unsigned" | "damaged" {
  const match = LINE.exec(text.slice(0, MAX_HEAD_OCTETS));
  if (!match) return "damaged";
  const [head, signature, kindText, keyText, epoch, sequence, node, atMs, ttlMs] = match as unknown as [
    string,
    ...string[],
  ] as [string, string, string, string, string, string, string, string, string];
  const signal = SIGNAL_KINDS.find((one) => kindText === `~${one}`);
  const kind = signal ?? RECORD_KINDS.find((one) => one === kindText);
  const key = signal ? "" : decodeKey(keyText);
  if (kind === undefined || key === undefined) return "damaged";
  if (signature === "-") return "unsigned";
  const payloadAt = FORM.length + 1 + signature.length + 1;
  return {
    signal,
    kind,
    key,
    version: { epoch: Number(epoch), sequence: Number(sequence), node },
    atMs: Number(atMs),
    ttlMs: Math.min(Number(ttlMs), Number.MAX_SAFE_INTEGER),
    signature,
    payload: text.slice(payloadAt),
    bodyAt: head.length - payloadAt,
    text,
  };
}
function decodeKey(text: string): string | undefined {
  try {
    const key = decodeURI(text);
    return encodeURI(key) === text ? key : undefined; // one key, one text
  } catch {
    return undefined;
  }
}

/** @returns the body, an object; undefined: it is not JSON of one */
export function readBody(line: Line): object | undefined {
  try {
    const body: unknown = JSON.parse(line.payload.slice(line.bodyAt));
    return typeof body === "object" && body !== null && !Array.isArray(body) ? body : undefined;
  } catch {
    return undefined;
  }
}

/** Whether the node that made it may write there. */
export function ownsItsKey({ kind, key, version }: Pick<Line, "kind" | "key" | "version">): boolean {
  if (isSharedKind(kind)) return key !== "";
  if (kind === "report") return key.length > version.node.length + 1 && key.endsWith(`/${version.node}`);
  return key === version.node;
}

export const writeCopy = (ageMs: number, text: string): string => `${Math.max(0, Math.round(ageMs))} ${text}`;
export function readCopy(copy: string): { readonly ageMs: number; readonly text: string } | undefined {
  const match = COPY.exec(copy.slice(0, 20));
  return match ? { ageMs: Number(match[1]), text: copy.slice(match[0].length) } : undefined;
}

// ── stamps ───────────────────────────────────────────────────────────────────────────────────────────────────────

/**
 * Says which record of a key is meant, in few octets: `EPOCH.SEQUENCE.SIGNATURE.NODE`, with the signature's first 8
 * characters. They settle what a node that lost its memory may do: sign two records of one version.
 */
export type Stamp = string;
const STAMP = /^(0|[1-9][0-9]{0,14})\.(0|[1-9][0-9]{0,14})\.([A-Za-z0-9_-]{8})\.([a-z0-9][a-z0-9._-]{0,62})$/;
const MAX_STAMP_OCTETS = 104;

export const stampOf = ({
  version: { epoch, sequence, node },
  signature,
}: Pick<Line, "version" | "signature">): Stamp => `${epoch}.${sequence}.${signature.slice(0, 8)}.${node}`;
export const isStamp = (value: unknown): value is Stamp =>
  typeof value === "string" && value.length <= MAX_STAMP_OCTETS && STAMP.test(value);

/** By version, then by signature: a total order, the same at all nodes. Both are stamps. */
export function compareStamps(a: Stamp, b: Stamp): number {
  if (a === b) return 0;
  const [left, right] = [readStamp(a), readStamp(b)];
  return compareVersions(left, right) || (left.signature < right.signature ? -1 : 1);
}
function readStamp(stamp: Stamp): RecordVersion & { readonly signature: string } {
  const [, epoch, sequence, signature, node] = STAMP.exec(stamp)!;
  return { epoch: Number(epoch), sequence: Number(sequence), node: node!, signature: signature! };
}

/** (kind, key) as one text. */
export const idOf = (kind: RecordKind, key: string): string => `${kind} ${key}`;
