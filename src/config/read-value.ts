/**
 * Plain value + zod schema → typed value, or problems with position, path, sentence and fix.
 * @module
 */

import type { z } from "zod";
import type { FieldMeta } from "#base/field.ts";
import type { Problem } from "#base/problem.ts";
import { suggest } from "#config/suggest.ts";
import { type Path, pathText, type YamlSource } from "#config/yaml.ts";

type Issue = z.core.$ZodIssue;
type Schema = z.core.$ZodType;
// biome-ignore lint/suspicious/noExplicitAny: zod types the definition per kind; we switch over `type` ourselves
const definition = (schema: Schema): any => schema._zod.def;

/** The schema below optional, default, prefault, nullable and transforms. */
function unwrap(schema: Schema): Schema {
  for (let inner = schema; ; ) {
    const def = definition(inner);
    if (def.innerType) inner = def.innerType;
    else if (def.type === "pipe") inner = def.in;
    else return inner;
  }
}

/** The first word on what a schema expects, from the outside inwards. */
function metaOf(schema: Schema): FieldMeta {
  for (let inner = schema; ; ) {
    const meta = (inner as z.ZodType).meta() as FieldMeta | undefined;
    if (meta?.expects !== undefined) return meta;
    const def = definition(inner);
    if (def.innerType) inner = def.innerType;
    else if (def.type === "pipe") inner = def.in;
    else return meta ?? {};
  }
}

/** zod names no branch when only one of them came near: the first that knows the path is meant. */
function schemaInUnion(options: readonly Schema[], path: Path): Schema | undefined {
  for (const option of options) {
    const found = schemaAt(option, path);
    if (found) return found;
  }
  return undefined;
}

function schemaAt(schema: Schema, path: Path): Schema | undefined {
  let here: Schema | undefined = schema;
  for (const [index, step] of path.entries()) {
    const def = definition(unwrap(here));
    if (def.type === "object") here = def.shape[step];
    else if (def.type === "array") here = def.element;
    else if (def.type === "record") here = def.valueType;
    else if (def.type === "tuple") here = def.items[Number(step)];
    else if (def.type === "union") return schemaInUnion(def.options, path.slice(index));
    else return undefined;
    if (!here) return undefined;
  }
  return here;
}

function enumWords(schema: Schema): string[] {
  const def = definition(unwrap(schema));
  if (def.type === "enum") return Object.values(def.entries as Record<string, string>).map(String);
  if (def.type === "literal") return (def.values as unknown[]).map(String);
  if (def.type === "union") return (def.options as Schema[]).flatMap(enumWords);
  return [];
}

/** Keys of an object, or of what a union may be. */
function keysOf(schema: Schema): string[] {
  const def = definition(unwrap(schema));
  return def.type === "union" ? (def.options as Schema[]).flatMap(keysOf) : Object.keys(def.shape ?? {});
}

const KIND_WORDS: Record<string, string> = {
  object: "a map",
  record: "a map",
  array: "a list",
  tuple: "a list",
  string: "text",
  number: "a number",
  boolean: "true or false",
};
function expectsOf(schema: Schema | undefined): string {
  if (!schema) return "something else";
  const expects = metaOf(schema).expects;
  if (expects !== undefined) return expects;
  const words = enumWords(schema);
  if (words.length === 1) return words[0]!;
  if (words.length > 1) return `one of ${words.join(", ")}`;
  return KIND_WORDS[definition(unwrap(schema)).type as string] ?? "something else";
}

function valueAt(value: unknown, path: Path): unknown {
  for (const step of path) {
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, step)) return undefined;
    value = (value as Record<string | number, unknown>)[step];
  }
  return value;
}

/** A value as it stands in a sentence; long text is cut. */
function showValue(value: unknown): string {
  if (value === undefined || value === null) return "nothing";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "a map";
  if (typeof value === "string") return JSON.stringify(value.length > 60 ? `${value.slice(0, 57)}…` : value);
  return `${typeof value === "number" ? "the number " : ""}${String(value)}`;
}

/** Whether the branch of a union does not fit at all, rather than being what was meant, with a mistake in it. */
const isMismatch = (issues: readonly Issue[]): boolean =>
  issues.some(
    (issue) =>
      issue.path.length === 0 &&
      (issue.code === "invalid_type" ||
        issue.code === "invalid_value" ||
        (issue.code === "invalid_union" && (issue.errors.length === 0 || issue.errors.every(isMismatch)))),
  );

type Context = {
  readonly source: YamlSource;
  readonly root: unknown;
  readonly base: Path;
  readonly problems: Problem[];
};

function report(context: Context, path: Path, says: string, fix: string, want: "key" | "value" = "value"): void {
  const whole = [...context.base, ...path];
  context.problems.push({
    ...context.source.at(whole, want),
    path: pathText(whole),
    severity: "error",
    says,
    fix,
  });
}

function reportIssue(context: Context, schema: Schema, issue: Issue, above: Path): void {
  const path: Path = [...above, ...(issue.path as (string | number)[])];
  const at = schemaAt(schema, issue.path as (string | number)[]);
  const value = valueAt(context.root, path);
  const key = path.at(-1);
  if (issue.code === "custom") {
    report(context, path, issue.message, String(issue.params?.["fix"] ?? "See docs/settings.md"));
  } else if (issue.code === "unrecognized_keys") {
    const known = at ? keysOf(at) : [];
    for (const unknown of issue.keys)
      report(context, [...path, unknown], "Unknown key", suggest(unknown, known, "key"), "key");
  } else if (issue.code === "invalid_key") {
    for (const inner of issue.issues) {
      const fix = inner.code === "custom" ? String(inner.params?.["fix"] ?? "") : "Choose another name";
      report(context, path, inner.message, fix || "Choose another name", "key");
    }
  } else if (value === undefined && path.length > 0) {
    const expects = expectsOf(at);
    report(context, path, `Is missing; must be ${expects}`, `Add \`${String(key)}:\` with ${expects}`);
  } else if (issue.code === "invalid_union") {
    const branch = issue.errors.findIndex((errors) => !isMismatch(errors));
    const options = at ? (definition(unwrap(at)).options as Schema[] | undefined) : undefined;
    if (branch >= 0 && options) {
      for (const inner of issue.errors[branch]!) reportIssue(context, options[branch]!, inner, path);
      return;
    }
    reportMismatch(context, path, at, value);
  } else if (issue.code === "invalid_type" || issue.code === "invalid_value") {
    reportMismatch(context, path, at, value);
  } else if (issue.code === "too_small" || issue.code === "too_big") {
    const isTuple = at !== undefined && definition(unwrap(at)).type === "tuple";
    if (isTuple) reportMismatch(context, path, at, value);
    else reportSize(context, path, at, value, issue);
  } else {
    report(context, path, `${issue.message}; is ${showValue(value)}`, `Write ${expectsOf(at)}`);
  }
}

type SizeIssue = Extract<Issue, { code: "too_small" | "too_big" }>;
function reportSize(context: Context, path: Path, schema: Schema | undefined, value: unknown, issue: SizeIssue): void {
  const limit = Number(issue.code === "too_small" ? issue.minimum : issue.maximum);
  const bound = `${issue.code === "too_small" ? "at least" : "at most"} ${limit}`;
  const expects = expectsOf(schema);
  if (typeof value === "number") {
    report(context, path, `Must be ${expects}; is ${showValue(value)}`, `Use ${bound}`);
  } else if (limit === 1 && issue.code === "too_small") {
    report(context, path, "Must not be empty", `Write ${expects}`);
  } else {
    const noun = Array.isArray(value) ? "entries" : "characters";
    const length = Array.isArray(value) || typeof value === "string" ? value.length : 0;
    report(context, path, `Must have ${bound} ${noun}; has ${length}`, `Use ${bound} ${noun}`);
  }
}

function reportMismatch(context: Context, path: Path, schema: Schema | undefined, value: unknown): void {
  const expects = expectsOf(schema);
  const words = schema ? enumWords(schema) : [];
  const isSecret = schema !== undefined && metaOf(schema).unit === "secret";
  const says = `Must be ${expects}; is ${isSecret ? "something else" : showValue(value)}`;
  const fix = typeof value === "string" && words.length > 1 ? suggest(value, words, "value") : `Write ${expects}`;
  report(context, path, says, fix);
}

/**
 * @param path where `value` stands in `source`
 * @returns the typed value with its defaults, or undefined after reporting all that is wrong with it
 */
export function readValue<T extends z.ZodType>(
  source: YamlSource,
  path: Path,
  schema: T,
  value: unknown,
  problems: Problem[],
): z.output<T> | undefined {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const context: Context = { source, root: value, base: path, problems };
  for (const issue of result.error.issues) reportIssue(context, schema, issue, []);
  return undefined;
}
