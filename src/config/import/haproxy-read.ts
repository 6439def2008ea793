/**
 * HAProxy's configuration → sections of lines of words (HAProxy configuration manual, 2.2 "Quoting and escaping").
 *
 * Never:   knows what a word means.
 * @module
 */
import type { At, Notes } from "#config/import/notes.ts";

export type Line = { readonly words: readonly string[]; readonly at: At };
export type Section = {
  readonly kind: string;
  readonly name: string;
  /** Behind `from`: the `defaults` section that it builds on. */
  readonly from: string | undefined;
  readonly at: At;
  readonly lines: readonly Line[];
};

const SECTIONS = new Set(
  "global defaults frontend backend listen userlist peers resolvers mailers program ring http-errors cache fcgi-app log-forward log-profile crt-store traces acme healthcheck".split(
    " ",
  ),
);
const ESCAPES: Readonly<Record<string, string>> = { n: "\n", r: "\r", t: "\t" };

/**
 * Single quotes keep all as it is, double quotes all but the backslash; `#` begins a comment outside of both.
 *
 * @returns undefined where a quote does not end
 */
export function splitWords(text: string): string[] | undefined {
  const words: string[] = [];
  let word: string | undefined;
  let quote = "";
  for (let at = 0; at < text.length; at++) {
    const character = text[at]!;
    if (quote === "" && character === "#") break;
    if (quote === "" && /\s/.test(character)) {
      if (word !== undefined) words.push(word);
      word = undefined;
    } else if (character === quote) quote = "";
    else if (quote === "" && (character === "'" || character === '"')) {
      quote = character;
      word ??= "";
    } else if (character === "\\" && quote !== "'" && at + 1 < text.length) {
      const next = text[++at]!;
      word = (word ?? "") + (ESCAPES[next] ?? next);
    } else word = (word ?? "") + character;
  }
  if (quote !== "") return undefined;
  if (word !== undefined) words.push(word);
  return words;
}

export function readHaproxy(file: string, text: string, notes: Notes): Section[] {
  const sections: (Section & { lines: Line[] })[] = [];
  let conditions = 0;
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const words = splitWords(raw);
    const at: At = { file, line: index + 1, directive: words?.[0] ?? raw.trim().split(/\s/)[0] ?? "" };
    if (words === undefined) {
      notes.leftOut(at, "A quote begins here and does not end", "Close it");
      continue;
    }
    const [first, name] = words;
    if (first === undefined) continue;
    if (first === ".if") conditions++;
    if (first.startsWith(".") || conditions > 0) {
      const fix = "Write out the lines that are meant for this machine";
      notes.leftOut(at, "Conditions of HAProxy's preprocessor are not followed", fix);
      if (first === ".endif") conditions = Math.max(0, conditions - 1);
      continue;
    }
    if (SECTIONS.has(first)) {
      const base = words.findIndex((word, position) => position > 0 && /^from$/.test(word));
      sections.push({
        kind: first,
        name: base === 1 ? "" : (name ?? ""),
        from: base < 0 ? undefined : words[base + 1],
        at,
        lines: [],
      });
    } else if (sections.length === 0) {
      notes.leftOut(
        at,
        "The line stands before any section",
        "Begin with global, defaults, frontend, backend or listen",
      );
    } else sections.at(-1)!.lines.push({ words, at });
  }
  return sections;
}

const UNITS = { us: 0.001, ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
/** HAProxy's times: a number is ms unless it has a unit. */
export const HAPROXY_TIME = { units: UNITS, plain: 1 } as const;
