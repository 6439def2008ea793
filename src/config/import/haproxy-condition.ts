/**
 * `if` and `unless` of a line of HAProxy → terms. What a term means is for who asks.
 * @module
 */
import { splitWords } from "#config/import/haproxy-read.ts";

/** The name of an ACL, or a test that stands right there, in braces. */
export type Term = {
  readonly isNot: boolean;
  readonly name: string;
  /** Words of an anonymous test. */
  readonly test: readonly string[] | undefined;
};
export type Condition = {
  readonly isUnless: boolean;
  /** From `if` or `unless` on. */
  readonly text: string;
  /** Within one, all terms must hold. */
  readonly alternatives: readonly (readonly Term[])[];
};

/** @returns undefined: the line has no condition */
export function readCondition(words: readonly string[]): Condition | undefined {
  const start = words.findIndex((word) => word === "if" || word === "unless");
  if (start < 0) return undefined;
  const alternatives: Term[][] = [[]];
  const rest = words.slice(start + 1);
  for (let index = 0; index < rest.length; index++) {
    let name = rest[index]!;
    if (name === "or" || name === "||") {
      alternatives.push([]);
      continue;
    }
    const isNot = name.startsWith("!");
    if (name === "!") name = rest[++index] ?? "";
    else if (isNot) name = name.slice(1);
    let test: readonly string[] | undefined;
    if (name === "{") {
      const found = rest.indexOf("}", index);
      const end = found < 0 ? rest.length : found;
      const inner = rest.slice(index + 1, end);
      test = inner.length === 1 ? (splitWords(inner[0]!) ?? inner) : inner;
      index = end;
    }
    alternatives.at(-1)!.push({ isNot, name, test });
  }
  return { isUnless: words[start] === "unless", text: words.slice(start).join(" "), alternatives };
}
