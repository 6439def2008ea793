/**
 * gdnsd's configuration (vscf: gdnsd.config(5), "Syntax") → maps, lists and texts, each with its line.
 *
 * Never:   throws; knows what a key means.
 * @module
 */
import { type At, type Notes, quoted } from "#config/import/notes.ts";
import type { Sources } from "#config/import/sources.ts";

export type Vscf = { readonly at: At } & (
  | { readonly kind: "map"; readonly entries: ReadonlyMap<string, Vscf> }
  | { readonly kind: "list"; readonly items: readonly Vscf[] }
  | { readonly kind: "text"; readonly text: string }
);
type MapNode = { at: At; kind: "map"; entries: Map<string, Vscf> };
type ListNode = { at: At; kind: "list"; items: Vscf[] };

const MAX_DEPTH = 32;
const MAX_INCLUDES = 64;

type Token = { readonly text: string; readonly isWord: boolean; readonly line: number };

function tokensOf(text: string): Token[] {
  const tokens: Token[] = [];
  let line = 1;
  const pattern =
    /\n|#[^\n]*|"(?:[^"\\]|\\[\s\S])*"?|=>|[{}[\],=]|\$include\{[^}\n]*\}|(?:[^\s{}[\],="#\\]|\\[\s\S]|=(?!>)(?=[^\s]))+|\\/g;
  for (const [match] of text.matchAll(pattern)) {
    if (match === "\n") line++;
    else if (match.startsWith('"')) {
      const inner = match
        .replace(/^"|"$/g, "")
        .replace(/\\(\d{3}|[\s\S])/g, (_whole, code: string) =>
          /^\d{3}$/.test(code) ? String.fromCharCode(Number(code) & 255) : code,
        );
      tokens.push({ text: inner, isWord: true, line });
      line += match.split("\n").length - 1;
    } else if (!match.startsWith("#")) tokens.push({ text: match, isWord: !/^(=>|[{}[\],=])$/.test(match), line });
  }
  return tokens;
}

export function readVscf(sources: Sources, notes: Notes): Extract<Vscf, { kind: "map" }> {
  let includes = 0;

  function parse(file: string, text: string, depth: number): MapNode {
    const tokens = tokensOf(text);
    let next = 0;
    const atOf = (token: Token | undefined, directive: string): At => ({ file, line: token?.line ?? 1, directive });

    function include(token: Token, into: MapNode): void {
      const path = token.text.slice("$include{".length, -1).trim();
      const found = ++includes > MAX_INCLUDES || depth >= MAX_DEPTH ? [] : (sources.open?.(path) ?? []);
      if (found.length === 0)
        notes.leftOut(
          atOf(token, "$include"),
          `There is nothing to include as ${quoted(path)} in the folder of the file`,
          "Put it there",
        );
      for (const one of found) {
        for (const [key, value] of parse(one.file, one.text, depth + 1).entries) into.entries.set(key, value);
      }
    }

    function value(level: number, key: string): Vscf | undefined {
      const token = tokens[next];
      if (!token) return undefined;
      if (level > MAX_DEPTH) {
        next = tokens.length;
        notes.leftOut(atOf(token, key), "Maps stand too deep inside of each other", "Check the braces");
        return undefined;
      }
      next++;
      if (token.isWord) return { kind: "text", text: token.text, at: atOf(token, key) };
      if (token.text === "{") return map(level, atOf(token, key), true);
      if (token.text === "[") return list(level, atOf(token, key), key);
      notes.leftOut(atOf(token, key), `A value is missing before ${quoted(token.text)}`, "Write `key => value`");
      return undefined;
    }

    function list(level: number, at: At, key: string): Vscf {
      const node: ListNode = { kind: "list", items: [], at };
      for (let token = tokens[next]; token && token.text !== "]"; token = tokens[next]) {
        if (token.text === "," && !token.isWord) next++;
        else {
          const item = value(level + 1, key);
          if (item) node.items.push(item);
        }
      }
      if (!tokens[next]) notes.leftOut(at, "The list does not end", "Add a closing bracket");
      next++;
      return node;
    }

    function map(level: number, at: At, isNested: boolean): MapNode {
      const node: MapNode = { kind: "map", entries: new Map(), at };
      for (let token = tokens[next]; token; token = tokens[next]) {
        if (!token.isWord) {
          next++;
          if (token.text === "}" && isNested) return node;
          if (token.text !== ",") notes.leftOut(atOf(token, token.text), "A key is missing here", "Check the braces");
          continue;
        }
        next++;
        if (token.text.startsWith("$include{")) {
          include(token, node);
          continue;
        }
        const sign = tokens[next];
        if (!sign || sign.isWord || (sign.text !== "=>" && sign.text !== "=")) {
          notes.leftOut(atOf(token, token.text), "The key has no value", "Write `key => value`");
          continue;
        }
        next++;
        const child = value(level + 1, token.text);
        if (!child) continue;
        if (node.entries.has(token.text))
          notes.leftOut(atOf(token, token.text), "The same key stands here a second time", "Keep one of the two");
        else node.entries.set(token.text, child);
      }
      if (isNested) notes.leftOut(at, "The map does not end", "Add a closing brace");
      return node;
    }
    return map(0, atOf(tokens[0], "{"), false);
  }
  return parse(sources.file, sources.text, 0);
}

export const entriesOf = (node: Vscf | undefined): ReadonlyMap<string, Vscf> =>
  node?.kind === "map" ? node.entries : new Map<string, Vscf>();
export const childOf = (node: Vscf | undefined, key: string): Vscf | undefined => entriesOf(node).get(key);
/** A text, or the texts of a list. */
export const textsOf = (node: Vscf | undefined): string[] =>
  node?.kind === "text"
    ? [node.text]
    : node?.kind === "list"
      ? node.items.flatMap((item) => (item.kind === "text" ? [item.text] : []))
      : [];
export const textOf = (node: Vscf | undefined): string | undefined => textsOf(node)[0];
