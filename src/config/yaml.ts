/**
 * YAML text → plain value, with the position of every key and value.
 *
 * Never:   touches files; throws on bad text (it reports problems); expands aliases without a limit.
 * @module
 */

import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from "yaml";
import type { Position, Problem } from "#base/problem.ts";

export type Path = readonly (string | number)[];

export type YamlSource = {
  readonly file: string;
  /** Plain objects, lists and scalars; undefined when the text is not YAML. */
  readonly value: unknown;
  /** Where the value of `path` stands, or its key. Where there is none: the nearest place around it that exists. */
  at(path: Path, want?: "key" | "value"): Position;
};

/** Text beyond this is refused: it is not a configuration any more. */
const MAX_TEXT_OCTETS = 16 * 1_048_576;
/** Aliases that one file may expand to in all: a small file cannot grow to gigabytes ("billion laughs"). */
const MAX_ALIASES = 100;

/** `dns.listen[0]`, as it stands in messages. */
export function pathText(path: Path): string {
  let text = "";
  for (const step of path) text += typeof step === "number" ? `[${step}]` : text === "" ? step : `.${step}`;
  return text;
}

function hasCircle(value: unknown, ancestors: readonly unknown[]): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (ancestors.includes(value)) return true;
  return Object.values(value).some((child) => hasCircle(child, [...ancestors, value]));
}

/**
 * @param problems gets what is wrong with the text: syntax, duplicate keys, too many aliases
 * @returns a source whose `value` is undefined when the text cannot be used
 */
export function parseYaml(file: string, text: string, problems: Problem[]): YamlSource {
  const start: Position = { file, line: 1, column: 1 };
  const refuse = (at: Position, says: string, fix: string): void => {
    problems.push({ ...at, path: "", severity: "error", says, fix });
  };
  const nothing: YamlSource = { file, value: undefined, at: () => start };
  if (text.length > MAX_TEXT_OCTETS) {
    refuse(start, `The file has ${text.length} characters`, `Keep it below ${MAX_TEXT_OCTETS}`);
    return nothing;
  }
  const lines = new LineCounter();
  try {
    const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, strict: true, logLevel: "error" });
    const positionOf = (offset: number): Position => {
      const { line, col } = lines.linePos(offset);
      return { file, line: Math.max(1, line), column: Math.max(1, col) };
    };
    for (const error of [...document.errors, ...document.warnings]) {
      const isDuplicate = error.code === "DUPLICATE_KEY";
      refuse(
        positionOf(error.pos[0]),
        isDuplicate
          ? "The same key stands here a second time"
          : `Not valid YAML: ${error.message.replace(/\s+/g, " ")}`,
        isDuplicate ? "Keep one of the two" : "Correct the line; text with special characters belongs into quotes",
      );
    }
    // A guess at what a broken text means would only lead to more messages about things that are not wrong.
    if (document.errors.some((error) => error.code !== "DUPLICATE_KEY")) return nothing;
    const value = document.toJS({ maxAliasCount: MAX_ALIASES }) as unknown;
    if (hasCircle(value, [])) {
      refuse(start, "An alias stands inside of what it refers to", "Write the value out");
      return nothing;
    }

    const resolve = (node: unknown): Node | undefined => {
      const target = isAlias(node) ? node.resolve(document) : node;
      return target ? (target as Node) : undefined;
    };
    const at = (path: Path, want: "key" | "value" = "value"): Position => {
      let node = resolve(document.contents);
      let key: Node | undefined;
      for (const step of path) {
        if (isMap(node)) {
          const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(step));
          if (!pair) return positionOf(key?.range?.[0] ?? 0);
          key = pair.key as Node;
          node = resolve(pair.value);
        } else if (isSeq(node)) {
          const item = node.items[Number(step)];
          if (item === undefined) return positionOf(key?.range?.[0] ?? node.range?.[0] ?? 0);
          key = item as Node;
          node = resolve(item);
        } else break;
      }
      const place = want === "key" ? (key ?? node) : (node ?? key);
      return positionOf(place?.range?.[0] ?? key?.range?.[0] ?? 0);
    };
    return { file, value, at };
  } catch (error) {
    // `yaml` throws on alias bombs, aliases of nothing, and on nesting that exhausts the stack.
    const isBomb = error instanceof ReferenceError;
    refuse(
      start,
      isBomb ? `Cannot expand aliases: ${error.message}` : "Cannot read this YAML: it is nested too deeply",
      isBomb ? `Use at most ${MAX_ALIASES} aliases, each to an anchor above it` : "Write it with fewer levels",
    );
    return nothing;
  }
}
