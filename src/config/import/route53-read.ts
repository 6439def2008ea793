/**
 * What the Route 53 API says and takes → record sets: the output of `list-resource-record-sets`, and change batches of
 * `change-resource-record-sets` (Route 53 API Reference, "ResourceRecordSet").
 * @module
 */
import {
  type Json,
  type JsonText,
  listOf,
  mapOf,
  numberOf,
  parseJsonLines,
  textOf,
} from "#config/import/json-lines.ts";
import { type At, type Notes, quoted } from "#config/import/notes.ts";
import type { Sources } from "#config/import/sources.ts";

export type RecordSet = {
  readonly at: At;
  /** Lower case, without its last dot; `*` as it is. */
  readonly name: string;
  readonly type: string;
  readonly ttl: number | undefined;
  readonly values: readonly string[];
  /** Undefined: a record without a routing policy. */
  readonly id: string | undefined;
  readonly alias: string | undefined;
  readonly healthCheck: string | undefined;
  /** The whole, for its routing policy. */
  readonly fields: { readonly [key: string]: Json };
};

/** Names have `\ooo`, in octal, for what is not a letter, digit, dash or underscore. */
const unescapeName = (name: string): string =>
  name.replace(/\\([0-3][0-7]{2})/g, (_whole, octal: string) => {
    const code = Number.parseInt(octal, 8);
    const character = String.fromCharCode(code);
    return /[a-z0-9*_-]/i.test(character) ? character.toLowerCase() : `\\${String(code).padStart(3, "0")}`;
  });
const tidyName = (name: string): string => unescapeName(name.toLowerCase()).replace(/(?<=.)\.$/, "");
/** Texts of TXT records use the same escapes; master files count in decimal (RFC 1035 §5.1). */
const decimalEscapes = (value: string): string =>
  value.replace(
    /\\([0-3][0-7]{2})/g,
    (_whole, octal: string) => `\\${String(Number.parseInt(octal, 8)).padStart(3, "0")}`,
  );

/** Escaped, so that it stays within its line of a zone file. */
const isOneLine = (text: string): boolean => !/[\p{Cc}]/u.test(text);

function readSet(value: Json | undefined, file: string, json: JsonText, notes: Notes): RecordSet | undefined {
  const fields = mapOf(value);
  const at = (directive: string): At => ({ file, line: json.lineOf(value), directive });
  const [name, type] = [textOf(fields?.["Name"]), textOf(fields?.["Type"])];
  if (!fields || name === undefined || type === undefined || !isOneLine(name) || !/^[A-Z0-9]{1,16}$/.test(type)) {
    notes.leftOut(at("ResourceRecordSet"), "It has no name and type", "Export it again");
    return undefined;
  }
  const where = at(`${tidyName(name)} ${type}`);
  const values = listOf(fields["ResourceRecords"]).flatMap((record) => {
    const text = textOf(mapOf(record)?.["Value"]);
    if (text !== undefined && text !== "" && isOneLine(text)) return [decimalEscapes(text)];
    notes.leftOut(where, "A record has no value in one line", "Export it again");
    return [];
  });
  const ttl = numberOf(fields["TTL"]);
  return {
    at: where,
    name: tidyName(name),
    type,
    ttl: ttl !== undefined && ttl >= 0 && ttl <= 2_147_483_647 ? Math.trunc(ttl) : undefined,
    values,
    id: textOf(fields["SetIdentifier"]),
    alias: textOf(mapOf(fields["AliasTarget"])?.["DNSName"]),
    healthCheck: textOf(fields["HealthCheckId"]),
    fields,
  };
}

export function readJson(file: string, text: string, notes: Notes): JsonText {
  const json = parseJsonLines(text);
  if (json.fault !== undefined)
    notes.leftOut(
      { file, line: json.faultLine, directive: "JSON" },
      `The file is not JSON: ${json.fault}`,
      "Save the output of the AWS CLI with --output json",
    );
  return json;
}

/** All record sets of a file, in their order; of two for the same the last counts. */
export function readRecordSets({ file, text }: Sources, notes: Notes): RecordSet[] {
  const json = readJson(file, text, notes);
  const root = mapOf(json.value);
  const changes = listOf(root?.["Changes"] ?? mapOf(root?.["ChangeBatch"])?.["Changes"]);
  const sets = new Map<string, RecordSet>();
  const add = (value: Json | undefined): void => {
    const set = readSet(value, file, json, notes);
    if (!set) return;
    const key = JSON.stringify([set.name, set.type, set.id]);
    const before = sets.get(key);
    if (before) notes.leftOut(before.at, "The same record set stands further down again", "Keep one of the two");
    sets.set(key, set);
  };
  for (const value of [...listOf(root?.["ResourceRecordSets"]), ...listOf(json.value)]) add(value);
  for (const change of changes) {
    const action = textOf(mapOf(change)?.["Action"]) ?? "";
    const value = mapOf(change)?.["ResourceRecordSet"];
    if (action === "CREATE" || action === "UPSERT") add(value);
    else
      notes.leftOut(
        { file, line: json.lineOf(change), directive: quoted(action) },
        "Only what is created or changed is taken",
        "Remove it from your files by hand",
      );
  }
  return [...sets.values()];
}
