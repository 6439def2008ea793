/** How the command line looks: tables, colour, spans of time. Colour only on a terminal without NO_COLOR. @module */
const CODES = { red: 31, green: 32, yellow: 33, bold: 1, dim: 2 } as const;
export type Colour = keyof typeof CODES;

/** NO_COLOR (no-color.org) beats FORCE_COLOR beats the terminal. */
export function usesColour(stream: { isTTY?: boolean }, env: Readonly<Record<string, string | undefined>>): boolean {
  if ((env["NO_COLOR"] ?? "") !== "") return false;
  if ((env["FORCE_COLOR"] ?? "") !== "") return env["FORCE_COLOR"] !== "0";
  return stream.isTTY === true && env["TERM"] !== "dumb";
}

const isColoured = usesColour(process.stdout, process.env);
export const paint = (text: string, colour: Colour | undefined): string =>
  colour === undefined || !isColoured ? text : `\x1b[${CODES[colour]}m${text}\x1b[0m`;

/** Text of others, without what would steer a terminal. */
export const plain = (text: string): string =>
  text.replace(/(?![\t\n])\p{Cc}/gu, (character) => `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`);

export type Cell = string | { readonly text: string; readonly colour: Colour | undefined };
const textOf = (cell: Cell): string => plain(typeof cell === "string" ? cell : cell.text);

/** Columns as wide as their widest cell; no blanks at the end of a line. */
export function table(head: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => textOf(row[column]!).length)));
  const line = (cells: readonly Cell[], bold: boolean): string =>
    cells
      .map((cell, column) => {
        const text = textOf(cell);
        const pad = column === cells.length - 1 ? "" : " ".repeat(widths[column]! - text.length + 2);
        return paint(text, bold ? "bold" : typeof cell === "string" ? undefined : cell.colour) + pad;
      })
      .join("")
      .trimEnd();
  return [line(head, true), ...rows.map((row) => line(row, false))].join("\n");
}

/** Two units at most: `45s`, `3m 20s`, `5h 2m`, `12d 4h`. */
export function formatSpan(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000));
  const pair = (value: number, unit: string, rest: number, restUnit: string): string =>
    rest === 0 ? `${value}${unit}` : `${value}${unit} ${rest}${restUnit}`;
  if (seconds < 60) return `${seconds}s`;
  if (seconds < 3_600) return pair(Math.floor(seconds / 60), "m", seconds % 60, "s");
  if (seconds < 86_400) return pair(Math.floor(seconds / 3_600), "h", Math.floor((seconds % 3_600) / 60), "m");
  return pair(Math.floor(seconds / 86_400), "d", Math.floor((seconds % 86_400) / 3_600), "h");
}

export const say = (text: string): void => void process.stdout.write(`${text}\n`);
export const sayJson = (value: unknown): void => say(JSON.stringify(value, null, 2));
export const complain = (text: string): void => void process.stderr.write(`${text}\n`);
