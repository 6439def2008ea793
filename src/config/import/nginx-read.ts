/**
 * nginx' configuration → a tree of directives, with what it includes in place (nginx.org, "Configuration file's structure").
 *
 * Never:   knows what a directive means.
 * @module
 */
import { type At, type Notes, quoted } from "#config/import/notes.ts";
import type { Sources } from "#config/import/sources.ts";

export type Directive = {
  readonly name: string;
  readonly args: readonly string[];
  /** Undefined: it has no block. */
  readonly block: readonly Directive[] | undefined;
  readonly at: At;
};
type Node = Directive & { block: Node[] | undefined };

/** Deeper blocks, and longer chains of includes, are mistakes. */
const MAX_DEPTH = 32;
const MAX_INCLUDES = 256;
const MAX_DIRECTIVES = 200_000;

type Token = { readonly text: string; readonly line: number; readonly isQuoted: boolean };

function* tokensOf(text: string): Generator<Token> {
  let line = 1;
  for (let at = 0; at < text.length; ) {
    const character = text[at]!;
    if (character === "\n") line++;
    if (/\s/.test(character)) at++;
    else if (character === "#") while (at < text.length && text[at] !== "\n") at++;
    else if (character === ";" || character === "{" || character === "}") {
      yield { text: character, line, isQuoted: false };
      at++;
    } else if (character === '"' || character === "'") {
      const start = line;
      const parts: string[] = [];
      let end = at + 1;
      for (; end < text.length && text[end] !== character; end++) {
        if (text[end] === "\\" && (text[end + 1] === character || text[end + 1] === "\\")) end++;
        if (text[end] === "\n") line++;
        parts.push(text[end]!);
      }
      at = end + 1;
      yield { text: parts.join(""), line: start, isQuoted: true };
    } else {
      let end = at;
      // `${name}` is part of a word, braces and all.
      for (; end < text.length && !/[\s;{}]/.test(text[end]!); end++) {
        if (text[end] === "\\") end++;
        else if (text[end] === "$" && text[end + 1] === "{") {
          const close = text.indexOf("}", end);
          if (close > 0 && close - end < 100) end = close;
        }
      }
      if (end === at) end++;
      yield { text: text.slice(at, end), line, isQuoted: false };
      at = end;
    }
  }
}

export function readNginx(sources: Sources, notes: Notes): Directive[] {
  let includes = 0;
  let count = 0;

  function parse(file: string, text: string, depth: number): Node[] {
    const top: Node[] = [];
    const open: Node[] = [];
    let words: Token[] = [];
    const place = (): Node[] => open.at(-1)?.block ?? top;
    const atOf = (token: Token, directive: string): At => ({ file, line: token.line, directive });
    const include = (node: Node): void => {
      const pattern = node.args[0] ?? "";
      const found = includes < MAX_INCLUDES && depth < MAX_DEPTH ? (sources.open?.(pattern) ?? []) : [];
      if (found.length === 0 && !/(^|\/)mime\.types$/.test(pattern))
        notes.leftOut(
          node.at,
          `There is nothing to include as ${quoted(pattern)} in the folder of the file`,
          "Put it there; a `*` that finds nothing is no mistake",
        );
      for (const one of found) {
        if (++includes > MAX_INCLUDES) break;
        place().push(...parse(one.file, one.text, depth + 1));
      }
    };
    for (const token of tokensOf(text)) {
      if (token.isQuoted || !/^[;{}]$/.test(token.text)) {
        words.push(token);
        continue;
      }
      const [first, ...args] = words;
      words = [];
      if (first && ++count <= MAX_DIRECTIVES) {
        const isBlock = token.text === "{";
        const node: Node = {
          name: first.text,
          args: args.map((arg) => arg.text),
          block: isBlock ? [] : undefined,
          at: atOf(first, first.text),
        };
        if (token.text === "}") notes.leftOut(node.at, "The line has no semicolon", "Add it");
        if (node.name === "include" && !isBlock) include(node);
        else place().push(node);
        if (isBlock && open.length >= MAX_DEPTH) {
          notes.leftOut(node.at, "Blocks stand too deep inside of each other", "Check the braces");
          return top;
        }
        if (isBlock) open.push(node);
      } else if (token.text === "{") {
        notes.leftOut(atOf(token, "{"), "A block without a name begins", "Check the braces");
        return top;
      }
      if (token.text === "}" && !open.pop())
        notes.leftOut(atOf(token, "}"), "Here ends a block that did not begin", "Check the braces");
    }
    if (words[0]) notes.leftOut(atOf(words[0], words[0].text), "The file ends inside of this line", "Add a semicolon");
    for (const node of open) notes.leftOut(node.at, "The block does not end", "Add a closing brace");
    return top;
  }
  return parse(sources.file, sources.text, 0);
}

export const all = (block: readonly Directive[], name: string): Directive[] => block.filter((one) => one.name === name);
/** The last one counts, as in nginx most are allowed once. */
export const last = (block: readonly Directive[], name: string): Directive | undefined =>
  block.findLast((one) => one.name === name);

/** nginx' times: a number is seconds unless it has a unit. */
export const NGINX_TIME = {
  units: {
    ms: 1,
    s: 1_000,
    m: 60_000,
    h: 3_600_000,
    d: 86_400_000,
    w: 604_800_000,
    M: 2_592_000_000,
    y: 31_536_000_000,
  },
  plain: 1_000,
} as const;
