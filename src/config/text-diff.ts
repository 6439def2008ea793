/**
 * What differs between two texts, as a unified diff for people; values that look like secrets are masked. Pure.
 *
 * The shortest edit is found by Myers' greedy algorithm ("An O(ND) Difference Algorithm and Its Variations", 1986), up to
 * `MAX_EDITS`; texts that differ by more are shown as one replaced by the other.
 * Units:   lines, which count from 1.
 * @module
 */
const CONTEXT_LINES = 3;
const MAX_EDITS = 1_000;
/** Of one diff of several files; what is beyond is cut, and the cut is told. */
const MAX_DIFF_OCTETS = 65_536;

type Edit = { readonly kind: " " | "-" | "+"; readonly line: string };

function editsOf(before: readonly string[], after: readonly string[]): Edit[] {
  const [n, m] = [before.length, after.length];
  const most = Math.min(n + m, MAX_EDITS);
  /** By round: the furthest position in `before` on each diagonal, as it was when the round began. */
  const trace: Int32Array[] = [];
  const furthest = new Int32Array(2 * most + 3);
  const middle = most + 1;
  for (let round = 0; round <= most; round++) {
    trace.push(furthest.slice(middle - round - 1, middle + round + 2));
    for (let diagonal = -round; diagonal <= round; diagonal += 2) {
      const isDown =
        diagonal === -round ||
        (diagonal !== round && furthest[middle + diagonal - 1]! < furthest[middle + diagonal + 1]!);
      let x = isDown ? furthest[middle + diagonal + 1]! : furthest[middle + diagonal - 1]! + 1;
      while (x < n && x - diagonal < m && before[x] === after[x - diagonal]) x++;
      furthest[middle + diagonal] = x;
      if (x >= n && x - diagonal >= m) return walkBack(before, after, trace);
    }
  }
  return [...before.map((line): Edit => ({ kind: "-", line })), ...after.map((line): Edit => ({ kind: "+", line }))];
}

function walkBack(before: readonly string[], after: readonly string[], trace: readonly Int32Array[]): Edit[] {
  const edits: Edit[] = [];
  let [x, y] = [before.length, after.length];
  for (let round = trace.length - 1; round >= 0; round--) {
    const at = (diagonal: number): number => trace[round]![diagonal + round + 1]!;
    const diagonal = x - y;
    const isDown = diagonal === -round || (diagonal !== round && at(diagonal - 1) < at(diagonal + 1));
    const fromX = isDown ? at(diagonal + 1) : at(diagonal - 1);
    const fromY = fromX - (isDown ? diagonal + 1 : diagonal - 1);
    for (; x > 0 && y > 0 && (round === 0 || (x > fromX && y > fromY)); y--)
      edits.push({ kind: " ", line: before[--x]! });
    if (round === 0) break;
    if (isDown) edits.push({ kind: "+", line: after[--y]! });
    else edits.push({ kind: "-", line: before[--x]! });
  }
  return edits.reverse();
}

const SECRET =
  /((?:["']?)[\w-]*(?:authorization|cookie|token|secret|password|api[-_]?key)[\w-]*["']?\s*:\s*)(?:"[^"]*"|'[^']*'|[^,}\s][^,}]*)/gi;
/** A line with what looks like a secret taken out. */
export const maskLine = (line: string): string => line.replace(SECRET, "$1***");

const linesOf = (text: string): string[] => (text === "" ? [] : text.replace(/\n$/, "").split("\n"));

/** @returns a unified diff with 3 lines of context, headed by `name`; empty where the texts are equal */
export function diffText(name: string, before: string | undefined, after: string | undefined): string {
  if (before === after) return "";
  const edits = editsOf(linesOf(before ?? ""), linesOf(after ?? ""));
  const hunks: string[] = [];
  let [oldLine, newLine] = [1, 1];
  for (let at = 0; at < edits.length; ) {
    if (edits[at]!.kind === " ") {
      at++;
      oldLine++;
      newLine++;
      continue;
    }
    const start = Math.max(0, at - CONTEXT_LINES);
    let end = at;
    for (let quiet = 0; end < edits.length && quiet <= 2 * CONTEXT_LINES; end++)
      quiet = edits[end]!.kind === " " ? quiet + 1 : 0;
    while (end > at && edits[end - 1]!.kind === " ") end--;
    end = Math.min(edits.length, end + CONTEXT_LINES);
    const shown = edits.slice(start, end);
    const lead = at - start;
    const count = (kind: Edit["kind"]): number => shown.filter((edit) => edit.kind !== kind).length;
    const span = (line: number, lines: number): string => `${lines === 0 ? line - 1 : line},${lines}`;
    hunks.push(`@@ -${span(oldLine - lead, count("+"))} +${span(newLine - lead, count("-"))} @@`);
    for (const { kind, line } of shown) hunks.push(kind + maskLine(line));
    for (const { kind } of edits.slice(at, end)) {
      if (kind !== "+") oldLine++;
      if (kind !== "-") newLine++;
    }
    at = end;
  }
  const head = (side: string, text: string | undefined): string =>
    text === undefined ? "/dev/null" : `${side}/${name}`;
  return [`--- ${head("a", before)}`, `+++ ${head("b", after)}`, ...hunks, ""].join("\n");
}

type Texts = Readonly<Record<string, string>>;
/** @returns the diffs of all files of either side, by name */
export function diffTexts(before: Texts, after: Texts): string {
  let text = "";
  for (const name of [...new Set([...Object.keys(before), ...Object.keys(after)])].sort()) {
    const next = diffText(name, before[name], after[name]);
    if (text.length + next.length > MAX_DIFF_OCTETS)
      return `${text}… the rest is left out: more than ${MAX_DIFF_OCTETS} octets\n`;
    text += next;
  }
  return text;
}
