/**
 * docs/settings.md and docs/schema/*.json, made from the schemas that check the configuration.
 *
 * Never:   knows a setting by itself: what the page says stands beside the schema, in the room's `config.ts`.
 * @module
 */

import { z } from "zod";
import { ROOT_SECTIONS } from "#config/schema.ts";
import { drillSchema } from "#drill/config.ts";
import { geoOverrideSchema, regionSchema } from "#geo/config.ts";
import { CHECK_SCHEMAS, overrideSchema } from "#health/config.ts";
import { balancerSchema } from "#l4/config.ts";
import { NOTIFY_SCHEMAS } from "#notify/config.ts";
import { serviceSchema } from "#steer/config.ts";

type Page = { readonly file: string; readonly schemaName: string; readonly says: string; readonly schema: z.ZodType };

const notifySchema = z
  .record(
    z.string(),
    z.discriminatedUnion("kind", [NOTIFY_SCHEMAS.webhook, NOTIFY_SCHEMAS.alertmanager, NOTIFY_SCHEMAS.command]),
  )
  .optional()
  .meta({ description: "Who is told of alarms: a name, and below it a sink.", reload: "live" });
const balancerRootSchema = balancerSchema
  .optional()
  .meta({ description: "Present: this process balances connections and datagrams.", reload: "live" });
const checks = Object.values(CHECK_SCHEMAS) as unknown as [z.ZodObject, ...z.ZodObject[]];

const PAGES: readonly Page[] = [
  {
    file: "rhumb.yaml",
    schemaName: "rhumb",
    says: "Which sections are present decides which roles the process plays. Paths are relative to the folder of this file.",
    schema: z.strictObject({ ...ROOT_SECTIONS, balancer: balancerRootSchema, notify: notifySchema }),
  },
  {
    file: "geo-data/regions.yaml",
    schemaName: "regions",
    says: "The name of a region, and below it:",
    schema: z.record(z.string(), regionSchema),
  },
  {
    file: "geo-data/overrides.yaml",
    schemaName: "geo-overrides",
    says: "A list. Each entry is about exactly one of `network`, `asn`, `country`.",
    schema: z.array(geoOverrideSchema),
  },
  {
    file: "zones/services.yaml",
    schemaName: "services",
    says: "The name of a service, and below it:",
    schema: z.record(z.string(), serviceSchema),
  },
  {
    file: "health/overrides.yaml",
    schemaName: "health-overrides",
    says: "A list; the last entry that matches a target wins. Overrides of the API come after these.",
    schema: z.array(overrideSchema),
  },
  {
    file: "health/NAME.yaml",
    schemaName: "check",
    says: "One check a file; the file's name is the check's name. What else there is depends on `kind`.",
    schema: z.discriminatedUnion("kind", checks),
  },
];

/** Drills are no settings: docs/drills.md has their page, editors their schema. */
const DRILL: Page = { file: "drills/NAME.yaml", schemaName: "drill", says: "", schema: drillSchema };

type Json = Record<string, unknown>;
const OWN_KEYS = ["expects", "range", "unit", "reload"];

function jsonSchema(page: Page, keepsOwnKeys: boolean): Json {
  return z.toJSONSchema(page.schema, {
    io: "input",
    unrepresentable: "any",
    override: ({ jsonSchema: json }) => {
      if (!keepsOwnKeys) for (const key of OWN_KEYS) delete (json as Json)[key];
    },
  }) as Json;
}

type Row = { readonly key: string; readonly json: Json; readonly isRequired: boolean };

const alternativesOf = (json: Json): Json[] => ((json["anyOf"] ?? json["oneOf"]) as Json[] | undefined) ?? [json];

/** Every key of a schema with its path; lists add `[]`, maps of names `NAME`. */
function rowsOf(json: Json, prefix: string, rows: Row[]): void {
  for (const branch of alternativesOf(json)) {
    if (branch !== json && (branch["anyOf"] ?? branch["oneOf"])) rowsOf(branch, prefix, rows);
    const required = (branch["required"] as string[] | undefined) ?? [];
    for (const [name, child] of Object.entries((branch["properties"] as Record<string, Json> | undefined) ?? {})) {
      const key = prefix === "" ? name : `${prefix}.${name}`;
      const isOptional = "default" in child || !required.includes(name);
      rows.push({ key, json: child, isRequired: !isOptional });
      rowsOf(child, key, rows);
    }
    const items = branch["items"] as Json | undefined;
    if (items && !Array.isArray(items)) rowsOf(items, `${prefix}[]`, rows);
    const values = branch["additionalProperties"] as Json | boolean | undefined;
    if (values && typeof values === "object") rowsOf(values, prefix === "" ? "NAME" : `${prefix}.NAME`, rows);
  }
}

function formOf(json: Json): string {
  if (typeof json["unit"] === "string") return json["unit"];
  const branches = alternativesOf(json);
  if (branches[0] !== json) return [...new Set(branches.map(formOf))].join(" or ");
  if (json["const"] !== undefined) return `\`${String(json["const"])}\``;
  if (Array.isArray(json["enum"])) return json["enum"].map((word) => `\`${String(word)}\``).join(", ");
  if (json["type"] === "array")
    return Array.isArray(json["prefixItems"]) ? "list" : `list of ${formOf((json["items"] as Json | undefined) ?? {})}`;
  if (json["type"] === "object") return "map";
  if (json["type"] === "integer" || json["type"] === "number") return "number";
  if (json["type"] === "boolean") return "`true`, `false`";
  if (json["type"] === "null") return "`null`";
  return "text";
}

function rangeOf(json: Json): string {
  if (typeof json["range"] === "string") return json["range"];
  for (const branch of alternativesOf(json)) {
    const [min, max] = [branch["minimum"], branch["maximum"]];
    if (typeof min === "number" && typeof max === "number" && max < Number.MAX_SAFE_INTEGER) return `${min} to ${max}`;
    if (branch !== json && typeof branch["range"] === "string") return branch["range"];
  }
  return "";
}

function defaultOf({ json, isRequired }: Row): string {
  if (isRequired) return "required";
  const value = json["default"];
  if (value === undefined || (typeof value === "object" && value !== null && !Array.isArray(value))) return "";
  return `\`${JSON.stringify(value)}\``;
}

const cell = (text: string): string => text.replace(/\|/g, "\\|").replace(/\n/g, " ");

/** Keys of all kinds of a check stand once; the kinds that know them are named. */
function mergeRows(rows: readonly Row[]): Row[] {
  const merged = new Map<string, Row>();
  for (const row of rows) {
    const known = merged.get(row.key);
    if (!known) merged.set(row.key, row);
    else if (row.key.endsWith("kind")) {
      const kinds = [...alternativesOf(known.json), ...alternativesOf(row.json)];
      merged.set(row.key, {
        ...known,
        json: {
          description: "What kind it is; the kind decides which other keys there are.",
          reload: "live",
          anyOf: kinds,
        },
      });
    }
  }
  return [...merged.values()];
}

/** @returns the settings page as Markdown */
export function renderSettings(): string {
  const parts = [
    "# Settings",
    "",
    "Every key of every file, made from the schemas that check them: do not edit this page, edit the schema.",
    "Unknown keys and values out of range are errors; `rhumb check` reports all of them at once.",
    "",
    "- Durations: `200ms`, `5s`, `10m`, `2h`, `1d`. Sizes: `512B`, `64KiB`, `8MiB`. Percentages: `70%`. Rates: `1000rps`.",
    "- Secrets are references, `env:NAME` or `file:PATH`. One that cannot be resolved stops the start.",
    "- Reload: `live` keys take effect when the file changes, on SIGHUP, or through the API; `restart` keys at the next start.",
    "- `[]` stands for each entry of a list, `NAME` for a name of your own.",
  ];
  for (const page of PAGES) {
    const rows: Row[] = [];
    rowsOf(jsonSchema(page, true), "", rows);
    parts.push(
      "",
      `## ${page.file}`,
      "",
      page.says,
      "",
      "| key | value | default | range | reload | meaning |",
      "|---|---|---|---|---|---|",
    );
    for (const row of mergeRows(rows)) {
      const { json } = row;
      const cells = [
        `\`${row.key}\``,
        formOf(json),
        defaultOf(row),
        rangeOf(json),
        String(json["reload"] ?? "live"),
        String(json["description"] ?? ""),
      ];
      parts.push(`| ${cells.map(cell).join(" | ")} |`);
    }
  }
  return `${parts.join("\n")}\n`;
}

/** @returns file name below docs/schema/ → JSON Schema (draft 2020-12) as text */
export function renderSchemas(): Map<string, string> {
  return new Map(
    [...PAGES, DRILL].map((page) => {
      const json = { title: `rhumb: ${page.file}`, ...jsonSchema(page, false) };
      return [`${page.schemaName}.json`, `${JSON.stringify(json, null, 2)}\n`];
    }),
  );
}
