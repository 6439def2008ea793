/**
 * W3C Trace Context (https://www.w3.org/TR/trace-context/): what a caller said, and what is passed on.
 *
 * Owns:    `traceparent` and `tracestate`, text ↔ fields. A trace that cannot be read is begun anew (§3.2.2.5, §4.3).
 * Never:   decides what is sampled; changes `tracestate`, which belongs to those who wrote it.
 * @module
 */
import { type Fields, fieldOf, listOf, removeField } from "#l7/message.ts";

export type Trace = {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** 16: our span. */
  readonly spanId: string;
  /** The caller's; undefined: the trace begins here. */
  readonly parentId: string | undefined;
  readonly isSampled: boolean;
  /** Undefined: there is none, or it cannot be passed on. */
  readonly state: string | undefined;
};

const MAX_MEMBERS = 32;
/** What must be passed on at the least is 512 (§3.3.1.5); longer states are dropped whole. */
const MAX_STATE = 4096;
const KEY = /^[a-z0-9][a-z0-9_*/@-]{0,255}$/;
const MEMBER_VALUE = /^[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$/;

/** @param newId makes that many random hexadecimal digits. @param isSampled of a trace that begins here */
export function traceOf(fields: readonly string[], newId: (digits: number) => string, isSampled: boolean): Trace {
  const parent = parseTraceparent(only(fields, "traceparent"));
  if (!parent) return { traceId: newId(32), spanId: newId(16), parentId: undefined, isSampled, state: undefined };
  return {
    traceId: parent.traceId,
    spanId: newId(16),
    parentId: parent.spanId,
    isSampled: parent.isSampled,
    state: stateOf(fields),
  };
}

/** Of the same trace, under ours: a try, a subrequest. */
export const childOf = (trace: Trace, newId: (digits: number) => string): Trace => ({
  ...trace,
  parentId: trace.spanId,
  spanId: newId(16),
});

/** Into the fields that go to the backend, in place of what came. */
export function writeTrace(fields: Fields, trace: Trace): void {
  removeField(fields, "traceparent");
  removeField(fields, "tracestate");
  fields.push("traceparent", `00-${trace.traceId}-${trace.spanId}-${trace.isSampled ? "01" : "00"}`);
  if (trace.state !== undefined) fields.push("tracestate", trace.state);
}

/** Later versions are read as far as version 00 goes (§4.3). @returns undefined: it is none */
export function parseTraceparent(
  text: string | undefined,
): { traceId: string; spanId: string; isSampled: boolean } | undefined {
  const parts =
    text === undefined ? null : /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/.exec(text);
  if (!parts) return undefined;
  const [, version, traceId, spanId, flags, rest] = parts;
  if (version === "ff" || (version === "00" && rest !== undefined)) return undefined;
  if (/^0+$/.test(traceId!) || /^0+$/.test(spanId!)) return undefined;
  return { traceId: traceId!, spanId: spanId!, isSampled: (Number.parseInt(flags!, 16) & 1) === 1 };
}

/** Two of them are none. */
function only(fields: readonly string[], name: string): string | undefined {
  const first = fields.indexOf(name);
  return first >= 0 && fields.indexOf(name, first + 1) >= 0 ? undefined : fieldOf(fields, name);
}

function stateOf(fields: readonly string[]): string | undefined {
  const list = listOf(fields, "tracestate");
  if (list === undefined || list.length > MAX_STATE) return undefined;
  const keys = new Set<string>();
  const members: string[] = [];
  for (const part of list.split(",")) {
    const member = part.trim();
    if (member === "") continue;
    const equals = member.indexOf("=");
    const key = member.slice(0, Math.max(0, equals));
    if (!KEY.test(key) || !MEMBER_VALUE.test(member.slice(equals + 1)) || keys.has(key)) return undefined;
    keys.add(key);
    members.push(member);
  }
  return members.length === 0 || members.length > MAX_MEMBERS ? undefined : members.join(",");
}
