/**
 * Regular expressions that hostile text cannot make slow: time grows with the length of the text, whatever the pattern.
 *
 * Owns:    matching, by two machines: a lazy automaton for yes or no, one state per character; and threads in step for
 *          where the groups lie (Pike). Neither ever goes back. Node's own RegExp goes back: `(a+)+$` costs it minutes.
 * Source:  Cox, Regular Expression Matching in the Wild (2010).
 * @module
 */
import { isWordCode, type PatternFault, type Program, parsePattern, SYMBOLS } from "#base/pattern-parse.ts";

export type Pattern = {
  readonly source: string;
  /** What every text that matches begins with; empty: anything. */
  readonly prefix: string;
  test(text: string): boolean;
  /** @returns the first match: where it begins and ends, and the texts of its groups (empty: not taken part) */
  exec(text: string): PatternMatch | undefined;
};
export type PatternMatch = { readonly start: number; readonly end: number; readonly groups: readonly string[] };

/** @returns what is wrong with the expression, and what to do about it */
export function patternFault(source: string): PatternFault | undefined {
  const parsed = parsePattern(source);
  return "says" in parsed ? parsed : undefined;
}

/** @param source has no `patternFault`: the configuration was checked. @throws Error otherwise */
export function compilePattern(source: string): Pattern {
  const program = parsePattern(source);
  if ("says" in program) throw new Error(`${JSON.stringify(source)}: ${program.says}`);
  const test = createAutomaton(program);
  let threads: ReturnType<typeof createThreads> | undefined;
  return {
    source,
    prefix: program.prefix,
    test,
    exec(text) {
      // Most texts do not match, and the automaton says so for a tenth of the price.
      if (!test(text)) return undefined;
      threads ??= createThreads(program);
      const places = threads(text);
      if (!places) return undefined;
      const groups: string[] = [];
      for (let slot = 0; slot < 2 * program.groups; slot += 2) {
        const [start, end] = [places[slot]!, places[slot + 1]!];
        groups.push(start < 0 || end < 0 ? "" : text.slice(start, end));
      }
      return { start: places[0]!, end: places[1]!, groups };
    },
  };
}

// ── yes or no ────────────────────────────────────────────────────────────────────────────────────────────────────

type State = {
  /** Steps that wait for a symbol, for the end, or for the next symbol to know whether a word ends here. */
  readonly steps: readonly number[];
  /** Where word edges matter: whether this is the beginning, and whether a word's character came last. */
  readonly isStart: boolean;
  readonly isAfterWord: boolean;
  readonly isMatch: boolean;
  readonly isMatchAtEnd: boolean;
  readonly next: (State | undefined)[];
};
/** What is known of the place between two symbols; `isEdge` undefined: not before the next symbol is seen. */
type Place = { readonly isStart: boolean; readonly isEnd: boolean; readonly isEdge: boolean | undefined };
const AMID: Place = { isStart: false, isEnd: false, isEdge: undefined };
const BEGINNING: Place = { isStart: true, isEnd: false, isEdge: undefined };
/** States are made as texts need them; then begun anew: memory stays bounded, whatever comes. */
const MAX_STATES = 256;

function createAutomaton({ steps, hasWordEdges }: Program): (text: string) => boolean {
  const { classOf, samples } = symbolClasses(steps, hasWordEdges);
  let states = new Map<string, State>();
  const seen = new Uint32Array(steps.length);
  let mark = 0;
  const stack: number[] = [];

  /** Adds where `from` leads without a symbol. @returns whether that is a match */
  function close(from: number, into: number[], { isStart, isEnd, isEdge }: Place): boolean {
    let isMatch = false;
    stack.push(from);
    while (stack.length > 0) {
      const at = stack.pop()!;
      if (seen[at] === mark) continue;
      seen[at] = mark;
      const step = steps[at]!;
      switch (step.op) {
        case "match":
          isMatch = true;
          break;
        case "jump":
          stack.push(step.next);
          break;
        case "split":
          stack.push(step.other, step.next);
          break;
        case "save":
          stack.push(at + 1);
          break;
        case "start":
          if (isStart) stack.push(at + 1);
          break;
        case "end":
          if (isEnd) stack.push(at + 1);
          else into.push(at);
          break;
        case "word":
        case "notWord":
          if (isEdge === undefined) into.push(at);
          else if (isEdge === (step.op === "word")) stack.push(at + 1);
          break;
        default:
          into.push(at);
      }
    }
    return isMatch;
  }
  function intern(list: number[], isMatch: boolean, isStart: boolean, isAfterWord: boolean): State {
    list.sort((a, b) => a - b);
    const key = `${isMatch ? "!" : ""}${isStart ? "^" : ""}${isAfterWord ? "w" : ""}${list.join()}`;
    const known = states.get(key);
    if (known) return known;
    if (states.size >= MAX_STATES) states = new Map();
    mark += 1;
    const atEnd: Place = { isStart, isEnd: true, isEdge: isAfterWord };
    let isMatchAtEnd = isMatch;
    for (const at of list) if (steps[at]!.op !== "set" && close(at, [], atEnd)) isMatchAtEnd = true;
    const next: State["next"] = new Array(samples.length).fill(undefined);
    const state: State = { steps: list, isStart, isAfterWord, isMatch, isMatchAtEnd, next };
    states.set(key, state);
    return state;
  }
  /** The steps of a state, once the next symbol has told whether a word begins or ends before it. */
  function settle(state: State, isBeforeWord: boolean, into: number[]): boolean {
    mark += 1;
    const place: Place = { isStart: state.isStart, isEnd: false, isEdge: state.isAfterWord !== isBeforeWord };
    let isMatch = false;
    for (const at of state.steps) if (close(at, into, place)) isMatch = true;
    return isMatch;
  }
  function advance(state: State, symbolClass: number): State {
    const symbol = samples[symbolClass]!;
    const isWord = hasWordEdges && isWordCode(symbol);
    let from = state.steps;
    let isMatch = false;
    if (hasWordEdges) {
      const settled: number[] = [];
      isMatch = settle(state, isWord, settled);
      from = settled;
    }
    mark += 1;
    const list: number[] = [];
    for (const at of from) {
      const step = steps[at]!;
      if (step.op === "set" && step.set[symbol] === 1 && close(at + 1, list, AMID)) isMatch = true;
    }
    // A match may begin here as well.
    if (close(0, list, AMID)) isMatch = true;
    const next = intern(list, isMatch, false, isWord);
    state.next[symbolClass] = next;
    return next;
  }
  mark += 1;
  const first: number[] = [];
  const start = intern(first, close(0, first, BEGINNING), hasWordEdges, false);
  mark += 1;
  // The one place that is both beginning and end.
  const takesNothing = close(0, [], { isStart: true, isEnd: true, isEdge: false });

  return (text) => {
    if (text === "") return takesNothing;
    let state = start;
    if (state.isMatch) return true;
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at);
      const symbolClass = classOf[code < SYMBOLS - 1 ? code : SYMBOLS - 1]!;
      state = state.next[symbolClass] ?? advance(state, symbolClass);
      if (state.isMatch) return true;
      if (state.steps.length === 0) return false;
    }
    return state.isMatchAtEnd;
  };
}

/** Symbols that no set of the program tells apart are one class. */
function symbolClasses(
  steps: Program["steps"],
  hasWordEdges: boolean,
): { classOf: Uint16Array; samples: readonly number[] } {
  const classOf = new Uint16Array(SYMBOLS);
  let count = 1;
  const sets = steps.flatMap((step) => (step.op === "set" ? [step.set] : []));
  if (hasWordEdges) sets.push(Uint8Array.from({ length: SYMBOLS }, (_, code) => (isWordCode(code) ? 1 : 0)));
  for (const set of sets) {
    const split = new Map<number, number>();
    for (let symbol = 0; symbol < SYMBOLS; symbol++) {
      const key = classOf[symbol]! * 2 + set[symbol]!;
      let known = split.get(key);
      if (known === undefined) {
        known = split.size;
        split.set(key, known);
      }
      classOf[symbol] = known;
    }
    count = split.size;
  }
  return { classOf, samples: Array.from({ length: count }, (_, one) => classOf.indexOf(one)) };
}

// ── where the groups lie ─────────────────────────────────────────────────────────────────────────────────────────

type Threads = { readonly at: number[]; readonly places: Int32Array[] };

/** @returns of a text: where each group begins and ends, of the match that begins first and that a reader expects */
function createThreads({ steps, groups }: Program): (text: string) => Int32Array | undefined {
  const seen = new Uint32Array(steps.length);
  let mark = 0;
  const stack: number[] = [];
  const stackPlaces: Int32Array[] = [];
  const nowhere = new Int32Array(2 * groups).fill(-1);
  /** Nothing matches but at the beginning. */
  const isAnchored = steps[1]?.op === "start";

  function add(threads: Threads, first: number, text: string, at: number, start: Int32Array): void {
    stack.push(first);
    stackPlaces.push(start);
    while (stack.length > 0) {
      const number = stack.pop()!;
      const places = stackPlaces.pop()!;
      if (seen[number] === mark) continue;
      seen[number] = mark;
      const step = steps[number]!;
      let next = number + 1;
      let noted = places;
      switch (step.op) {
        case "jump":
          next = step.next;
          break;
        case "split":
          stack.push(step.other);
          stackPlaces.push(places);
          next = step.next;
          break;
        case "save":
          noted = places.slice();
          noted[step.slot] = at;
          break;
        case "start":
          if (at !== 0) continue;
          break;
        case "end":
          if (at !== text.length) continue;
          break;
        case "word":
        case "notWord":
          if ((isWordAt(text, at - 1) !== isWordAt(text, at)) !== (step.op === "word")) continue;
          break;
        default:
          threads.at.push(number);
          threads.places.push(places);
          continue;
      }
      stack.push(next);
      stackPlaces.push(noted);
    }
  }

  return (text) => {
    let now: Threads = { at: [], places: [] };
    let next: Threads = { at: [], places: [] };
    let found: Int32Array | undefined;
    mark += 1;
    for (let at = 0; at <= text.length; at++) {
      // What the last symbol led to is marked already; a match that begins here comes after those.
      if (!found && (at === 0 || !isAnchored)) add(now, 0, text, at, nowhere);
      else if (now.at.length === 0) break;
      mark += 1;
      const code = at < text.length ? text.charCodeAt(at) : -1;
      const symbol = code < SYMBOLS - 1 ? code : SYMBOLS - 1;
      for (let index = 0; index < now.at.length; index++) {
        const number = now.at[index]!;
        const step = steps[number]!;
        if (step.op === "match") {
          found = now.places[index]!;
          break; // threads after it are worse
        }
        if (step.op === "set" && code >= 0 && step.set[symbol] === 1)
          add(next, number + 1, text, at + 1, now.places[index]!);
      }
      [now, next] = [next, now];
      next.at.length = 0;
      next.places.length = 0;
    }
    return found;
  };
}
const isWordAt = (text: string, at: number): boolean => at >= 0 && at < text.length && isWordCode(text.charCodeAt(at));
