/**
 * Text of a regular expression → a program for a machine that never goes back.
 *
 * Owns:    which expressions there are: literals, classes, `.`, groups, `|`, `* + ? {m,n}` also lazy, `^ $ \b \B`, `(?i)` at
 *          the front. No references back and no lookaround: what needs them cannot be matched in linear time.
 * Source:  Thompson, Regular Expression Search Algorithm (CACM 11, 1968); Cox, Regular Expression Matching: the Virtual
 *          Machine Approach (2009).
 * Units:   symbols are code units of latin1 text; 256 stands for all that are larger.
 * @module
 */

export const SYMBOLS = 257;
const OTHER = 256;
export const MAX_PATTERN_CHARACTERS = 1_024;
const MAX_STEPS = 4_000;
const MAX_REPEATS = 256;
const MAX_DEPTH = 64;

/** `split` prefers `next`; `save` notes the place as number `slot`. */
export type Step =
  | { readonly op: "set"; readonly set: Uint8Array }
  | { readonly op: "split"; next: number; other: number }
  | { readonly op: "jump"; next: number }
  | { readonly op: "save"; readonly slot: number }
  | { readonly op: "start" | "end" | "word" | "notWord" | "match" };

export type Program = {
  readonly steps: readonly Step[];
  /** Groups, the whole match included. */
  readonly groups: number;
  /** What every match begins with, at the beginning of the text; empty: it may begin anywhere, or with anything. */
  readonly prefix: string;
  readonly hasWordEdges: boolean;
};
export type PatternFault = { readonly says: string; readonly fix: string };

type Node =
  | { readonly kind: "set"; readonly set: Uint8Array }
  | { readonly kind: "sequence" | "choice"; readonly items: readonly Node[] }
  | {
      readonly kind: "repeat";
      readonly item: Node;
      readonly min: number;
      readonly max: number;
      readonly isLazy: boolean;
    }
  | { readonly kind: "group"; readonly item: Node; readonly number: number }
  | { readonly kind: "assert"; readonly op: "start" | "end" | "word" | "notWord" };

class Refused extends Error {
  readonly fault: PatternFault;
  constructor(says: string, fix: string) {
    super(says);
    this.fault = { says, fix };
  }
}

function setOf(test: (code: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: SYMBOLS }, (_, code) => (test(code) ? 1 : 0));
}
export const isWordCode = (code: number): boolean =>
  (code >= 0x30 && code <= 0x39) || (code >= 0x41 && code <= 0x5a) || code === 0x5f || (code >= 0x61 && code <= 0x7a);
const isDigit = (code: number): boolean => code >= 0x30 && code <= 0x39;
const isSpace = (code: number): boolean => code === 0x20 || (code >= 0x09 && code <= 0x0d) || code === 0xa0;
const CLASSES: Record<string, (code: number) => boolean> = {
  d: isDigit,
  D: (code) => !isDigit(code),
  w: isWordCode,
  W: (code) => !isWordCode(code),
  s: isSpace,
  S: (code) => !isSpace(code),
};
const CONTROLS: Record<string, number> = { n: 0x0a, r: 0x0d, t: 0x09, f: 0x0c, v: 0x0b, "0": 0 };

class Reader {
  readonly #text: string;
  readonly #ignoresCase: boolean;
  #at = 0;
  groups = 1;
  hasWordEdges = false;

  constructor(text: string) {
    this.#ignoresCase = text.startsWith("(?i)");
    this.#text = this.#ignoresCase ? text.slice(4) : text;
  }

  read(): Node {
    const node = this.#choice(0);
    if (this.#at < this.#text.length) throw new Refused("a `)` closes nothing", "Write \\) for the character");
    return node;
  }

  #peek = (): string => this.#text.charAt(this.#at);
  #take(text: string): boolean {
    if (!this.#text.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }

  #choice(depth: number): Node {
    if (depth > MAX_DEPTH) throw new Refused("groups lie too deep in each other", `Use at most ${MAX_DEPTH}`);
    const items = [this.#sequence(depth)];
    while (this.#take("|")) items.push(this.#sequence(depth));
    return items.length === 1 ? items[0]! : { kind: "choice", items };
  }

  #sequence(depth: number): Node {
    const items: Node[] = [];
    while (this.#at < this.#text.length && this.#peek() !== "|" && this.#peek() !== ")")
      items.push(this.#repeated(this.#atom(depth)));
    return { kind: "sequence", items };
  }

  #repeated(item: Node): Node {
    const [min, max] = this.#bounds() ?? [1, 1];
    if (min === 1 && max === 1) return item;
    if (item.kind === "assert")
      throw new Refused("an assertion is repeated", "Put the repetition behind a character or a group");
    const isLazy = this.#take("?");
    if (/^[*+?]/.test(this.#peek()) || /^\{\d/.test(this.#text.slice(this.#at, this.#at + 2)))
      throw new Refused("a repetition is repeated", "Put the first one into a group, (?:…)");
    return { kind: "repeat", item, min, max, isLazy };
  }

  #bounds(): [number, number] | undefined {
    if (this.#take("*")) return [0, Number.POSITIVE_INFINITY];
    if (this.#take("+")) return [1, Number.POSITIVE_INFINITY];
    if (this.#take("?")) return [0, 1];
    const match = /^\{(\d{1,4})(,(\d{0,4}))?\}/.exec(this.#text.slice(this.#at, this.#at + 12));
    if (!match) return undefined;
    this.#at += match[0].length;
    const min = Number(match[1]);
    const max = match[2] === undefined ? min : match[3] === "" ? Number.POSITIVE_INFINITY : Number(match[3]);
    if (max < min) throw new Refused(`${match[0]} counts backwards`, "Write the smaller number first");
    if (min > MAX_REPEATS || (max !== Number.POSITIVE_INFINITY && max > MAX_REPEATS))
      throw new Refused(`${match[0]} repeats too often`, `Use at most ${MAX_REPEATS}`);
    return [min, max];
  }

  #atom(depth: number): Node {
    const character = this.#peek();
    this.#at += 1;
    switch (character) {
      case "(":
        return this.#group(depth);
      case "[":
        return { kind: "set", set: this.#class() };
      case ".":
        return { kind: "set", set: setOf((code) => code !== 0x0a && code !== 0x0d) };
      case "^":
        return { kind: "assert", op: "start" };
      case "$":
        return { kind: "assert", op: "end" };
      case "\\":
        return this.#escape();
      case "*":
      case "+":
      case "?":
        throw new Refused(`a \`${character}\` repeats nothing`, `Write \\${character} for the character`);
      default:
        return { kind: "set", set: this.#literal(character.charCodeAt(0)) };
    }
  }

  #group(depth: number): Node {
    let number: number | undefined;
    if (this.#take("?")) {
      if (!this.#take(":"))
        throw new Refused(
          "`(?` other than `(?:` and a leading `(?i)` cannot be matched in linear time",
          "Write (?:…); for lookaround use two rules, or a pattern for each case",
        );
    } else number = this.groups++;
    const item = this.#choice(depth + 1);
    if (!this.#take(")")) throw new Refused("a `(` is not closed", "Add `)`, or write \\( for the character");
    return number === undefined ? item : { kind: "group", item, number };
  }

  #escape(): Node {
    const character = this.#peek();
    if (character === "b" || character === "B") {
      this.#at += 1;
      this.hasWordEdges = true;
      return { kind: "assert", op: character === "b" ? "word" : "notWord" };
    }
    const named = this.#named();
    return { kind: "set", set: typeof named === "number" ? this.#literal(named) : named };
  }

  /** After a backslash: a code, or a class. */
  #named(): number | Uint8Array {
    const character = this.#peek();
    this.#at += 1;
    if (Object.hasOwn(CLASSES, character)) return setOf(CLASSES[character]!);
    if (character !== "0" && /[1-9]/.test(character))
      throw new Refused("a reference back cannot be matched in linear time", "Write what is meant a second time");
    if (Object.hasOwn(CONTROLS, character)) return CONTROLS[character]!;
    if (character === "x") {
      const digits = /^[0-9a-fA-F]{2}/.exec(this.#text.slice(this.#at, this.#at + 2));
      if (!digits) throw new Refused("\\x has no two hexadecimal digits", "Write it such as \\x2f");
      this.#at += 2;
      return Number.parseInt(digits[0], 16);
    }
    if (character === "") throw new Refused("it ends in a backslash", "Write \\\\ for the character");
    if (/[a-zA-Z]/.test(character))
      throw new Refused(`\\${character} is not known`, `Write ${character} alone for the letter`);
    return character.charCodeAt(0);
  }

  #class(): Uint8Array {
    const isNegated = this.#take("^");
    const set = new Uint8Array(SYMBOLS);
    let isFirst = true;
    for (; ; isFirst = false) {
      const character = this.#peek();
      if (character === "") throw new Refused("a `[` is not closed", "Add `]`, or write \\[ for the character");
      this.#at += 1;
      if (character === "]" && !isFirst) break;
      const from = character === "\\" ? this.#named() : character.charCodeAt(0);
      if (typeof from !== "number") {
        for (let code = 0; code < SYMBOLS; code++) set[code]! |= from[code]!;
        continue;
      }
      let to = from;
      if (this.#peek() === "-" && this.#text.charAt(this.#at + 1) !== "]" && this.#text.charAt(this.#at + 1) !== "") {
        this.#at += 1;
        const next = this.#peek();
        this.#at += 1;
        const end = next === "\\" ? this.#named() : next.charCodeAt(0);
        if (typeof end !== "number" || end < from)
          throw new Refused("a range in `[…]` counts backwards", "Write the smaller one first");
        to = end;
      }
      for (let code = Math.min(from, OTHER); code <= Math.min(to, OTHER); code++) this.#add(set, code);
    }
    if (isNegated) for (let code = 0; code < SYMBOLS; code++) set[code] = 1 - set[code]!;
    return set;
  }

  #literal(code: number): Uint8Array {
    const set = new Uint8Array(SYMBOLS);
    this.#add(set, Math.min(code, OTHER));
    return set;
  }
  #add(set: Uint8Array, code: number): void {
    set[code] = 1;
    if (!this.#ignoresCase) return;
    if (code >= 0x41 && code <= 0x5a) set[code + 32] = 1;
    if (code >= 0x61 && code <= 0x7a) set[code - 32] = 1;
  }
}

function emit(node: Node, steps: Step[]): void {
  if (steps.length > MAX_STEPS) throw new Refused("it is too large", "Use fewer or smaller repetitions");
  switch (node.kind) {
    case "set":
      steps.push({ op: "set", set: node.set });
      return;
    case "assert":
      steps.push({ op: node.op });
      return;
    case "group":
      steps.push({ op: "save", slot: 2 * node.number });
      emit(node.item, steps);
      steps.push({ op: "save", slot: 2 * node.number + 1 });
      return;
    case "sequence":
      for (const item of node.items) emit(item, steps);
      return;
    case "choice":
      emitChoice(node.items, steps);
      return;
    case "repeat":
      emitRepeat(node, steps);
      return;
    default:
      node satisfies never;
  }
}

function emitChoice(items: readonly Node[], steps: Step[]): void {
  const jumps: { op: "jump"; next: number }[] = [];
  for (const [index, item] of items.entries()) {
    if (index === items.length - 1) {
      emit(item, steps);
      break;
    }
    const split = { op: "split" as const, next: steps.length + 1, other: 0 };
    steps.push(split);
    emit(item, steps);
    const jump = { op: "jump" as const, next: 0 };
    steps.push(jump);
    jumps.push(jump);
    split.other = steps.length;
  }
  for (const jump of jumps) jump.next = steps.length;
}

function emitRepeat({ item, min, max, isLazy }: Extract<Node, { kind: "repeat" }>, steps: Step[]): void {
  for (let count = 0; count < min; count++) emit(item, steps);
  const fork = () => {
    const split = { op: "split" as const, next: 0, other: 0 };
    steps.push(split);
    return split;
  };
  const aim = (split: ReturnType<typeof fork>, into: number, past: number): void => {
    split.next = isLazy ? past : into;
    split.other = isLazy ? into : past;
  };
  if (max === Number.POSITIVE_INFINITY) {
    const at = steps.length;
    const split = fork();
    emit(item, steps);
    steps.push({ op: "jump", next: at });
    aim(split, at + 1, steps.length);
    return;
  }
  const splits: { split: ReturnType<typeof fork>; at: number }[] = [];
  for (let count = min; count < max; count++) {
    splits.push({ at: steps.length + 1, split: fork() });
    emit(item, steps);
  }
  for (const { split, at } of splits) aim(split, at, steps.length);
}

/** The literal text that follows a leading `^`. */
function prefixOf(node: Node): string {
  if (node.kind !== "sequence") return "";
  const [first, ...rest] = node.items;
  if (first?.kind !== "assert" || first.op !== "start") return "";
  let prefix = "";
  for (const item of rest) {
    if (item.kind !== "set") break;
    const code = item.set.indexOf(1);
    if (code === OTHER || item.set.indexOf(1, code + 1) >= 0) break;
    prefix += String.fromCharCode(code);
  }
  return prefix;
}

export function parsePattern(text: string): Program | PatternFault {
  if (text.length > MAX_PATTERN_CHARACTERS)
    return { says: `it has ${text.length} characters`, fix: `Use at most ${MAX_PATTERN_CHARACTERS}, or several` };
  try {
    const reader = new Reader(text);
    const node = reader.read();
    const steps: Step[] = [{ op: "save", slot: 0 }];
    emit(node, steps);
    steps.push({ op: "save", slot: 1 }, { op: "match" });
    if (steps.length > MAX_STEPS) throw new Refused("it is too large", "Use fewer or smaller repetitions");
    return { steps, groups: reader.groups, prefix: prefixOf(node), hasWordEdges: reader.hasWordEdges };
  } catch (error) {
    if (error instanceof Refused) return error.fault;
    throw error;
  }
}
