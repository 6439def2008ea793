/**
 * JSON text → plain values, and the line that each map and list begins in.
 *
 * Never:   throws; nests deeper than its limit; makes objects with a prototype that keys could reach.
 * @module
 */
const MAX_DEPTH = 64;

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
export type JsonText = {
  /** Undefined where the text is not JSON; `fault` then says why, and `faultLine` where. */
  readonly value: Json | undefined;
  readonly fault: string | undefined;
  readonly faultLine: number;
  lineOf(value: unknown): number;
};

class Fault extends Error {}

export function parseJsonLines(text: string): JsonText {
  const lines = new WeakMap<object, number>();
  let at = 0;
  let line = 1;
  const skip = (): void => {
    for (; at < text.length && /[ \t\r\n]/.test(text[at]!); at++) if (text[at] === "\n") line++;
  };
  const fail = (says: string): never => {
    throw new Fault(says);
  };
  const string = (): string => {
    const start = at++;
    while (at < text.length && text[at] !== '"') {
      if (text[at] === "\n") fail("A text does not end in its line");
      at += text[at] === "\\" ? 2 : 1;
    }
    at++;
    try {
      return String(JSON.parse(text.slice(start, at)));
    } catch {
      return fail("A text is not as JSON writes it");
    }
  };
  const value = (depth: number): Json => {
    skip();
    const character = text[at];
    if (depth > MAX_DEPTH) fail("It is nested too deeply");
    if (character === "{" || character === "[") {
      const isMap = character === "{";
      const map: { [key: string]: Json } = Object.create(null);
      const list: Json[] = [];
      lines.set(isMap ? map : list, line);
      at++;
      skip();
      const close = isMap ? "}" : "]";
      if (text[at] === close) {
        at++;
        return isMap ? map : list;
      }
      for (;;) {
        skip();
        if (isMap) {
          if (text[at] !== '"') fail("A key in quotes is missing");
          const key = string();
          skip();
          if (text[at++] !== ":") fail("A colon is missing");
          map[key] = value(depth + 1);
        } else list.push(value(depth + 1));
        skip();
        const next = text[at++];
        if (next === close) return isMap ? map : list;
        if (next !== ",") fail(`A comma or ${close} is missing`);
      }
    }
    if (character === '"') return string();
    const word = /^(?:true|false|null|-?\d{1,30}(?:\.\d{1,30})?(?:[eE][+-]?\d{1,4})?)/.exec(
      text.slice(at, at + 80),
    )?.[0];
    if (word === undefined) return fail(at >= text.length ? "The text ends too early" : "This is no value of JSON");
    at += word.length;
    return JSON.parse(word) as Json;
  };
  const lineOf = (one: unknown): number => (typeof one === "object" && one !== null ? (lines.get(one) ?? 1) : 1);
  try {
    const whole = value(0);
    skip();
    if (at < text.length) fail("More stands behind the end");
    return { value: whole, fault: undefined, faultLine: 0, lineOf };
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    return { value: undefined, fault: error.message, faultLine: line, lineOf };
  }
}

export const mapOf = (value: Json | undefined): { readonly [key: string]: Json } | undefined =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? value : undefined;
export const listOf = (value: Json | undefined): readonly Json[] => (Array.isArray(value) ? value : []);
export const textOf = (value: Json | undefined): string | undefined => (typeof value === "string" ? value : undefined);
/** A number, also where it stands as text. */
export const numberOf = (value: Json | undefined): number | undefined => {
  const number = typeof value === "string" && /^-?\d{1,15}(\.\d{1,15})?$/.test(value) ? Number(value) : value;
  return typeof number === "number" && Number.isFinite(number) ? number : undefined;
};
