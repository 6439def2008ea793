/**
 * Conditions of HAProxy (`acl`, `if`, `unless`) over HTTP → `match` of rules.
 *
 * Owns:    which of them mean the same here. A condition is a list of alternatives, each a `match`; none: it never holds.
 * @module
 */
import { patternFault } from "#base/pattern.ts";
import { readCondition, type Term } from "#config/import/haproxy-condition.ts";
import type { ProxySection } from "#config/import/haproxy-proxy.ts";
import { parseNetwork } from "#config/import/words.ts";

export type Match = Readonly<Record<string, unknown>>;
/** Undefined: it cannot be said here. */
type Alternatives = readonly Match[] | undefined;

/** A line with more alternatives is left out: each is a rule. */
const MAX_ALTERNATIVES = 16;
const FLAGS = new Set(["-i", "-n", "-u", "--"]);
const HOST = /^(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$/;
const PATH = /^\/[^\s?#]*$/;
/** `path_beg`, `hdr_end(x)`, `req.cook(x)`. */
const FETCH = /^(?:req\.)?(path|hdr|fhdr|cook|urlp|url_param|method)(?:_(beg|end|sub|reg|dir|dom))?(?:\(([^(),]+)\))?$/;
const ALWAYS: readonly Match[] = [{}];
const NEVER: readonly Match[] = [];

const literal = (text: string): string => text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
const SHAPES: Readonly<Record<string, (text: string) => string>> = {
  str: (text) => `^${literal(text)}$`,
  beg: (text) => `^${literal(text)}`,
  end: (text) => `${literal(text)}$`,
  sub: literal,
  dir: (text) => `(^|/)${literal(text)}(/|$)`,
  reg: (text) => text,
};
/** One regular expression for any of the values. */
function regexOf(how: string, values: readonly string[], ignoresCase: boolean): string | undefined {
  const shape = SHAPES[how];
  if (shape === undefined) return undefined;
  const parts = values.map(shape);
  const source = `${ignoresCase ? "(?i)" : ""}${parts.length === 1 ? parts[0] : parts.map((part) => `(${part})`).join("|")}`;
  return patternFault(source) === undefined ? source : undefined;
}

const VALUE_KEYS: Readonly<Record<string, string>> = { str: "exact", beg: "prefix", end: "suffix", sub: "contains" };
function comparisonOf(how: string, values: readonly string[], ignoresCase: boolean): unknown {
  const key = VALUE_KEYS[how];
  if (key !== undefined && values.length === 1 && !ignoresCase && values[0] !== "") return { [key]: values[0] };
  const regex = regexOf(how, values, ignoresCase);
  return regex === undefined ? undefined : { regex };
}

function pathsOf(how: string, values: readonly string[], ignoresCase: boolean): Alternatives {
  const key = { str: "exact", beg: "prefix" }[how];
  if (key !== undefined && !ignoresCase) {
    if (!values.every((value) => PATH.test(value))) return undefined;
    return [{ path: values.map((value) => ({ [key]: value })) }];
  }
  const regex = regexOf(how, values, ignoresCase);
  return regex === undefined ? undefined : [{ path: [{ regex }] }];
}

function hostsOf(how: string, values: readonly string[]): Alternatives {
  const names = values.map((value) => {
    const name = value.toLowerCase().replace(/:\d+$/, "");
    if (how === "str") return name;
    return how === "end" && name.startsWith(".") ? `*${name}` : "";
  });
  return names.every((name) => HOST.test(name)) ? [{ host: names }] : undefined;
}

export type Asking = {
  /** Whether clients of this listener come by TLS. */
  readonly isTls: boolean;
  /** For lines that refuse: who would have to show a password has shown none. Others cannot be said then. */
  readonly nobodyIsKnown: boolean;
};

/** @param words of an `acl` without its name, or of a `{ … }` */
function readTest([fetch = "", ...rest]: readonly string[], { isTls, nobodyIsKnown }: Asking): Alternatives {
  if (fetch === "always_true") return ALWAYS;
  if (fetch === "always_false") return NEVER;
  if (nobodyIsKnown && /^http_auth(_group)?\(/.test(fetch)) return NEVER;
  if (fetch === "ssl_fc" && rest.length === 0) return isTls ? ALWAYS : NEVER;
  let how: string | undefined;
  let ignoresCase = false;
  const values: string[] = [];
  for (let index = 0; index < rest.length; index++) {
    const word = rest[index]!;
    if (word === "-m") how = rest[++index];
    else if (word === "-f" || word === "-M") return undefined;
    else if (FLAGS.has(word)) ignoresCase ||= word === "-i";
    else values.push(word);
  }
  if (fetch === "src") {
    const networks = values.map(parseNetwork);
    return values.length > 0 && networks.every((network) => network !== undefined) ? [{ source: networks }] : undefined;
  }
  const [, what = "", suffix, name = ""] = FETCH.exec(fetch) ?? [];
  how ??= suffix ?? "str";
  if (what === "method" && how === "str" && values.length > 0)
    return [{ method: values.map((one) => one.toUpperCase()) }];
  if (what === "path") return values.length === 0 || name !== "" ? undefined : pathsOf(how, values, ignoresCase);
  const key = { hdr: "header", fhdr: "header", cook: "cookie", urlp: "query", url_param: "query" }[what];
  if (key === undefined || name === "") return undefined;
  if (how === "found") return [{ [key]: { [name]: true } }];
  if (values.length === 0) return undefined;
  if (key === "header" && name.toLowerCase() === "host") return hostsOf(how, values);
  const value = comparisonOf(how, values, ignoresCase);
  return value === undefined ? undefined : [{ [key]: { [name]: value } }];
}

/** Only what asks for one value of a field, cookie or parameter can be turned round. */
function negate(alternatives: Alternatives): Alternatives {
  if (alternatives === undefined || alternatives.length > 1) return undefined;
  const [match] = alternatives;
  if (match === undefined) return ALWAYS;
  const [[key, names] = ["", {}], ...more] = Object.entries(match);
  if (key === "") return NEVER;
  if (more.length > 0 || !["header", "cookie", "query"].includes(key)) return undefined;
  const [[name, value], ...others] = Object.entries(names as Record<string, unknown>) as [[string, unknown]];
  if (others.length > 0) return undefined;
  return [{ [key]: { [name]: value === true ? false : { ...(value as object), not: true } } }];
}

/** What asks for both. Undefined: both ask for the same thing. */
export function both(one: Match, other: Match): Match | undefined {
  const joined: Record<string, unknown> = { ...one };
  for (const [key, value] of Object.entries(other)) {
    if (joined[key] === undefined) joined[key] = value;
    else if (Array.isArray(value)) return undefined;
    else {
      const before = joined[key] as Record<string, unknown>;
      if (Object.keys(value as object).some((name) => Object.hasOwn(before, name))) return undefined;
      joined[key] = { ...before, ...(value as object) };
    }
  }
  return joined;
}
function all(tests: readonly Alternatives[]): Alternatives {
  let left: readonly Match[] = ALWAYS;
  for (const test of tests) {
    if (test === undefined) return undefined;
    const next = left.flatMap((one) => test.map((other) => both(one, other)));
    if (next.length > MAX_ALTERNATIVES || next.some((match) => match === undefined)) return undefined;
    left = next as Match[];
  }
  return left;
}

const PREDEFINED: Readonly<Record<string, readonly Match[]>> = {
  TRUE: ALWAYS,
  FALSE: NEVER,
  HTTP: ALWAYS,
  METH_GET: [{ method: ["GET", "HEAD"] }],
  ...Object.fromEntries(
    ["HEAD", "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT"].map((one) => [`METH_${one}`, [{ method: [one] }]]),
  ),
};

/** Of tests that count: what came lately, or is there now. Who is under the limit is not meant. */
const COUNTED = /^(?:sc[0-9]?_|src_|table_|be_|fe_|srv_|nbsrv|connslots|queue|avg_queue)/;

export type Matcher = {
  /** What a line's words ask for, by this proxy's ACLs. */
  exactly(words: readonly string[]): Alternatives;
  /** Of a line that refuses: at least what it asks for, and no more than what it leaves unsaid makes necessary. */
  atLeast(words: readonly string[]): readonly Match[];
  /** Whether what cannot be said of a line's condition counts connections or requests. */
  isCounted(words: readonly string[]): boolean;
};

export function createMatcher(proxy: ProxySection, asking: Asking): Matcher {
  const counted = new Set<string>();
  const acls = new Map<string, (readonly Match[])[] | undefined>();
  for (const { words } of proxy.own) {
    const [first, name] = words;
    if (first !== "acl" || name === undefined) continue;
    const test = readTest(words.slice(2), asking);
    if (COUNTED.test(words[2] ?? "")) counted.add(name);
    const before = acls.has(name) ? acls.get(name) : [];
    acls.set(name, before && test && [...before, test]);
  }
  /** Lines of one name are alternatives. */
  const named = (name: string): Alternatives =>
    acls.has(name) ? acls.get(name)?.flat() : Object.hasOwn(PREDEFINED, name) ? PREDEFINED[name] : undefined;

  const alternativeOf = ({ isNot, name, test: inner }: Term): Alternatives => {
    const test = inner === undefined ? named(name) : readTest(inner, asking);
    return isNot ? negate(test) : test;
  };
  const exactly = (words: readonly string[]): Alternatives => {
    const condition = readCondition(words);
    if (condition === undefined) return ALWAYS;
    const each = condition.alternatives.map((terms) => all(terms.map(alternativeOf)));
    if (each.some((one) => one === undefined)) return undefined;
    const whole = (each as (readonly Match[])[]).flat();
    if (whole.length > MAX_ALTERNATIVES) return undefined;
    return condition.isUnless ? negate(whole) : whole;
  };
  return {
    exactly,
    atLeast(words) {
      const exact = exactly(words);
      if (exact !== undefined) return exact;
      const condition = readCondition(words)!;
      if (condition.isUnless) return ALWAYS;
      const wide = condition.alternatives.flatMap((terms) => widened(terms.map(alternativeOf)));
      return wide.length > MAX_ALTERNATIVES ? ALWAYS : wide;
    },
    isCounted: (words) =>
      readCondition(words)!
        .alternatives.flat()
        .filter((term) => alternativeOf(term) === undefined)
        .every(({ name, test }) => (test === undefined ? counted.has(name) : COUNTED.test(test[0] ?? ""))),
  };
}

/** All that can be said of tests that must all hold: what cannot be said holds for any request. */
function widened(tests: readonly Alternatives[]): readonly Match[] {
  let left: readonly Match[] = ALWAYS;
  for (const test of tests) {
    if (test === undefined) continue;
    const next = left.flatMap((one) => test.map((other) => both(one, other) ?? one));
    if (next.length <= MAX_ALTERNATIVES) left = next;
  }
  return left;
}
