/**
 * What `rhumb doctor` finds, and how it is printed.
 * @module
 */
import { type Colour, paint, plain } from "#cli/output.ts";

export type Finding = {
  /** What was looked at: one word, such as `clock`. */
  readonly check: string;
  /** `problem`: people get wrong or no answers, now or as soon as something else fails. `warning`: worth a look. */
  readonly state: "ok" | "warning" | "problem";
  readonly says: string;
  /** What to do; empty where all is well. */
  readonly fix: string;
};

export const ok = (check: string, says: string): Finding => ({ check, state: "ok", says, fix: "" });
export const warning = (check: string, says: string, fix: string): Finding => ({ check, state: "warning", says, fix });
export const problem = (check: string, says: string, fix: string): Finding => ({ check, state: "problem", says, fix });

const COLOURS: Record<Finding["state"], Colour> = { ok: "green", warning: "yellow", problem: "red" };
const CHECK_WIDTH = 14;
const count = (number: number, noun: string): string => `${number} ${noun}${number === 1 ? "" : "s"}`;

/** One line a finding, and its fix below it. */
export function formatFindings(findings: readonly Finding[]): string {
  const lines = findings.flatMap(({ check, state, says, fix }) => {
    const line = `${paint(state.padEnd(8), COLOURS[state])} ${check.padEnd(CHECK_WIDTH)} ${plain(says)}`;
    return fix === "" ? [line] : [line, `${" ".repeat(9 + CHECK_WIDTH)} → ${plain(fix)}`];
  });
  const of = (state: Finding["state"]): number => findings.filter((finding) => finding.state === state).length;
  return [...lines, "", `${count(of("problem"), "problem")}, ${count(of("warning"), "warning")}, ${of("ok")} ok`].join(
    "\n",
  );
}
