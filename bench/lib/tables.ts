/**
 * Cells → tables, for the terminal and for pages of docs/. The first row is the head, the first column text. Pure.
 * @module
 */
import type { Machine } from "./machine.ts";

/** A number as tables show it; what was not measured is a dash. */
export const whole = (value: number | undefined): string =>
  value === undefined ? "–" : Math.round(value).toLocaleString("en");
export const fixed =
  (digits: number) =>
  (value: number | undefined): string =>
    value === undefined ? "–" : value.toFixed(digits);

/** The lines of a table for the terminal. */
export function textLines(cells: readonly (readonly string[])[]): string[] {
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)));
  return cells.map((row) =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join("  "),
  );
}

/** The lines of a table for a page. */
export function markdownLines([heads, ...rows]: readonly (readonly string[])[]): string[] {
  const line = (row: readonly string[]) => `| ${row.join(" | ")} |`;
  const rule = `|${heads!.map((_, column) => (column === 0 ? "---" : "---:")).join("|")}|`;
  return [line(heads!), rule, ...rows.map(line)];
}

export const markdownMachine = ({ cpu, cores, memoryMiB, system, node }: Machine): string =>
  `${cpu}, ${cores} cores, ${whole(memoryMiB / 1_024)} GiB; ${system}; Node ${node}.`;

/**
 * Puts texts into a page, between `<!-- bench NAME -->` and `<!-- /bench -->`; blocks without a text stay as they are.
 * @throws Error when a block has no end
 */
export function fillBlocks(page: string, texts: Readonly<Record<string, string>>): string {
  const parts = page.split(/(?<=<!-- bench [a-z0-9-]+ -->\n)/);
  return parts
    .map((part, index) => {
      const name = /<!-- bench ([a-z0-9-]+) -->\n$/.exec(parts[index - 1] ?? "")?.[1];
      if (name === undefined) return part;
      const end = part.indexOf("<!-- /bench -->");
      if (end < 0) throw new Error(`The block "bench ${name}" has no end`);
      const text = texts[name];
      return text === undefined ? part : `\n${text}\n\n${part.slice(end)}`;
    })
    .join("");
}
