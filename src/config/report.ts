/**
 * How cross checks say what is wrong, with the place of the value they speak of.
 * @module
 */
import type { Problem } from "#base/problem.ts";
import { type Path, pathText, type YamlSource } from "#config/yaml.ts";

type Where = { readonly severity?: "error" | "warning"; readonly want?: "key" | "value" };
export type Report = (source: YamlSource, path: Path, says: string, fix: string, where?: Where) => void;

export function createReport(problems: Problem[]): Report {
  return (source, path, says, fix, { severity = "error", want = "value" } = {}) => {
    problems.push({ ...source.at(path, want), path: pathText(path), severity, says, fix });
  };
}

/** `a, b and c` */
export function listWords(words: readonly string[]): string {
  return words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} and ${words.at(-1)!}`;
}
