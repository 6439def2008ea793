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
  const automaton = program.hasWordEdges ? undefined : createAutomaton(program);
  return {
    source,
    prefix: program.prefix,
    test: automaton ?? ((text) => runThreads(program, text) !== undefined),
    exec(text) {
      // Most texts do not match, and the automaton says so for a tenth of the price.
      if (automaton && !automaton(text)) return undefined;
      const places = runThreads(program, text);
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
  /** Steps that wait for a symbol, or for the end. */
  readonly steps: readonly number[];
  readonly isMatch: boolean;
  readonly isMatchAtEnd: boolean;
  readonly next: (State | undefined)[];
};
/** States are made as texts need them; then begun anew: memory stays bounded, whatever comes. */
const MAX_STATES = 256;

function createAutomaton({ steps }: Program): (text: string) => boolean {
  const { classOf, samples } = symbolClasses(steps);
  let states = new Map<string, State>();
  const seen = new Uint32Array(steps.length);
  let mark = 0;
  const stack: number[] = [];

  /** Adds where `from` leads without a symbol. @returns whether that is a match */
  function close(from: number, into: number[], isStart: boolean, isEnd: boolean): boolean {
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
        default:
          into.push(at);
      }
    }
    return isMatch;
  }
  function intern(list: number[], isMatch: boolean): State {
    list.sort((a, b) => a - b);
    const key = `${isMatch ? "!" : ""}${list.join()}`;
    const known = states.get(key);
    if (known) return known;
    if (states.size >= MAX_STATES) states = new Map();
    mark += 1;
    let isMatchAtEnd = isMatch;
    for (const at of list) if (steps[at]!.op === "end" && close(at, [], false, true)) isMatchAtEnd = true;
    const state: State = { steps: list, isMatch, isMatchAtEnd, next: new Array(samples.length).fill(undefined) };
    states.set(key, state);
    return state;
  }
  function advance(state: State, symbolClass: number): State {
    mark += 1;
    const list: number[] = [];
    let isMatch = false;
    const symbol = samples[symbolClass]!;
    for (const at of state.steps) {
      const step = steps[at]!;
      if (step.op === "set" && step.set[symbol] === 1 && close(at + 1, list, false, false)) isMatch = true;
    }
    // A match may begin here as well.
    if (close(0, list, false, false)) isMatch = true;
    const next = intern(list, isMatch);
    state.next[symbolClass] = next;
    return next;
  }
  mark += 1;
  const first: number[] = [];
  const start = intern(first, close(0, first, true, false));
  mark += 1;
  // The one place that is both beginning and end.
  const takesNothing = close(0, [], true, true);

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
function symbolClasses(steps: Program["steps"]): { classOf: Uint16Array; samples: readonly number[] } {
  const classOf = new Uint16Array(SYMBOLS);
  let count = 1;
  for (const step of steps) {
    if (step.op !== "set") continue;
    const split = new Map<number, number>();
    for (let symbol = 0; symbol < SYMBOLS; symbol++) {
      const key = classOf[symbol]! * 2 + step.set[symbol]!;
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

type Threads = { at: number[]; places: Int32Array[] };

/** @returns where each group begins and ends, of the match that begins first and that a reader of the pattern expects */
function runThreads({ steps, groups }: Program, text: string): Int32Array | undefined {
  const seen = new Int32Array(steps.length).fill(-1);
  let now: Threads = { at: [], places: [] };
  let next: Threads = { at: [], places: [] };
  let found: Int32Array | undefined;
  const isWord = (at: number): boolean => at >= 0 && at < text.length && isWordCode(text.charCodeAt(at));
  const isEdge = (at: number): boolean => isWord(at - 1) !== isWord(at);
  const stack: { step: number; places: Int32Array }[] = [];

  function add(threads: Threads, first: number, at: number, start: Int32Array): void {
    stack.push({ step: first, places: start });
    while (stack.length > 0) {
      const { step: number, places } = stack.pop()!;
      if (seen[number] === at) continue;
      seen[number] = at;
      const step = steps[number]!;
      switch (step.op) {
        case "jump":
          stack.push({ step: step.next, places });
          break;
        case "split":
          stack.push({ step: step.other, places }, { step: step.next, places });
          break;
        case "save": {
          const noted = places.slice();
          noted[step.slot] = at;
          stack.push({ step: number + 1, places: noted });
          break;
        }
        case "start":
          if (at === 0) stack.push({ step: number + 1, places });
          break;
        case "end":
          if (at === text.length) stack.push({ step: number + 1, places });
          break;
        case "word":
          if (isEdge(at)) stack.push({ step: number + 1, places });
          break;
        case "notWord":
          if (!isEdge(at)) stack.push({ step: number + 1, places });
          break;
        default:
          threads.at.push(number);
          threads.places.push(places);
      }
    }
  }

  const nowhere = new Int32Array(2 * groups).fill(-1);
  for (let at = 0; at <= text.length; at++) {
    // `seen` of this place may hold what the last symbol added; a match that begins here comes after those.
    if (!found) add(now, 0, at, nowhere);
    else if (now.at.length === 0) break;
    const code = at < text.length ? text.charCodeAt(at) : -1;
    const symbol = code < SYMBOLS - 1 ? code : SYMBOLS - 1;
    for (const [index, number] of now.at.entries()) {
      const step = steps[number]!;
      if (step.op === "match") {
        found = now.places[index]!;
        break; // threads after it are worse
      }
      if (step.op === "set" && code >= 0 && step.set[symbol] === 1) add(next, number + 1, at + 1, now.places[index]!);
    }
    [now, next] = [next, now];
    next.at.length = 0;
    next.places.length = 0;
  }
  return found;
}
