/**
 * One thing wrong with an operator's input. Parsers collect all of them and never stop at the first.
 * @module
 */
export type Position = { readonly file: string; readonly line: number; readonly column: number };
export type Problem = Position & {
  /** Dotted path of the value inside the file, such as `dns.listen[0]`; empty for zone files. */
  readonly path: string;
  readonly severity: "error" | "warning";
  /** What is wrong, with the value. */
  readonly says: string;
  /** What to do about it. */
  readonly fix: string;
};

/** `file:line:column path: sentence (fix)`; lines and columns count from 1. */
export function formatProblem(problem: Problem): string {
  const path = problem.path === "" ? "" : ` ${problem.path}`;
  const warning = problem.severity === "warning" ? "warning: " : "";
  return `${problem.file}:${problem.line}:${problem.column}${path}: ${warning}${problem.says} (${problem.fix})`;
}

export const hasErrors = (problems: readonly Problem[]): boolean =>
  problems.some((problem) => problem.severity === "error");
