/**
 * The shapes of the configuration: what serves here, and what is desired of all nodes: pushes, their log, conflicts.
 * @module
 */
import { z } from "zod";

const text = z.string();
const atMs = z.number().describe("Unix time in ms");
export const generation = z
  .string()
  .describe("Generation of the configuration: epoch and sequence, such as 1.42")
  .meta({ examples: ["1.42"] });
const version = text
  .describe("Version of the desired configuration: epoch, sequence and the node that it was pushed to")
  .meta({ examples: ["1.5.ns1"] });
const overlay = z.record(text, z.unknown());
const reason = z.string().trim().max(500);

export const problemSchema = z
  .object({
    file: text,
    line: z.number(),
    column: z.number(),
    path: text,
    severity: z.enum(["error", "warning"]),
    says: text,
    fix: text,
  })
  .meta({ id: "ConfigProblem" });

export const configSchema = z
  .object({
    generation,
    appliedAtMs: atMs,
    files: z.array(text),
    document: z.record(text, z.unknown()).describe("The effective configuration with defaults; secrets are masked"),
    overlay: z.record(text, z.unknown()).nullable().describe("What the API changed; null: nothing"),
  })
  .meta({ id: "Config" });

export const configChangeSchema = z
  .object({
    isApplied: z.boolean(),
    isDryRun: z.boolean(),
    generation: generation.nullable().describe("The generation that now serves; null for a dry run or a refusal"),
    problems: z.array(problemSchema),
    changes: z.array(text).describe("What differs, one line each"),
  })
  .meta({ id: "ConfigChange" });

export const nodeStateSchema = z
  .object({
    node: text,
    isOwn: z.boolean(),
    state: z
      .enum(["serves", "lags", "ahead", "refused", "apart", "silent"])
      .describe(
        "How it stands to what is desired here: it serves it, has not got it yet, has a newer one, refused it, is the other side of a conflict, or says nothing",
      ),
    generation: generation.nullable().describe("What it serves, in its own count"),
    desired: text.nullable().describe("Version of the desired configuration that it has; null: none"),
    version: text.nullable().describe("Release that it runs"),
    says: text,
  })
  .meta({ id: "NodeState" });

export const sharingSchema = z
  .object({
    by: z.enum(["redis", "peers", "alone"]).describe("What carries records between nodes"),
    isConnected: z.boolean(),
    says: text.describe("How it stands, with the fault where there is one"),
  })
  .meta({ id: "Sharing" });

export const MAX_PUSH_OCTETS = 8 * 1_048_576; // 2 MiB of texts, as JSON writes them at worst, and the overlay

export const newPushSchema = z
  .strictObject({
    files: z
      .record(z.string().max(255), z.string().nullable())
      .optional()
      .describe(
        "Texts by name: zones/…, zones/services.yaml, geo-data/regions.yaml, geo-data/overrides.yaml, health/CHECK.yaml; null takes one back. Left out: they stay",
      ),
    partial: z.boolean().default(false).describe("True: files that are not named stay; false: `files` are all"),
    overlay: overlay.optional().describe("The whole overlay: services, regions, pools. Left out: it stays"),
    reason: reason.default(""),
    breakGlass: reason
      .min(1)
      .optional()
      .describe("Why answers may vanish, or more of them change than a push may change"),
    basedOn: version.optional().describe("Refused if another version is desired by now; `none`: if any is"),
  })
  .meta({ id: "NewPush" });

export const configPushSchema = configChangeSchema
  .extend({
    version: version.nullable().describe("What is desired now; null: nothing was pushed yet"),
    diff: text.describe("Unified diff of the texts; values that look like secrets are masked"),
  })
  .meta({ id: "ConfigPush" });

export const desiredSchema = z
  .object({
    version: version.nullable(),
    isServed: z.boolean().describe("This node serves it"),
    refusal: text.describe("Why it does not; empty where it does"),
    files: z.record(text, text),
    overlay,
    forks: z.array(version).describe("Versions that others serve and that were made apart from this one: a conflict"),
  })
  .meta({ id: "DesiredConfig" });

export const desiredLogSchema = z
  .array(
    z.object({
      version,
      atMs,
      actor: text,
      reason: text,
      breakGlass: text.nullable(),
      files: z.array(text).describe("Names"),
      state: z
        .enum(["serves", "served", "refused", "fork", "waiting"])
        .describe(
          "Here: it serves; it served; it was refused; it is the other side of a conflict; it was not tried yet",
        ),
      says: text.describe("What changed by it, or why it was refused"),
    }),
  )
  .meta({ id: "DesiredLog" });

export const desiredDiffQuerySchema = z.strictObject({
  from: z.string().max(128).default("disk").describe("A version, `disk` (this node's own files), or `none`"),
  to: z.string().max(128).optional().describe("The same; left out: what is desired"),
});
export const desiredDiffSchema = z
  .object({ from: text, to: text, diff: text.describe("Unified diff; values that look like secrets are masked") })
  .meta({ id: "DesiredDiff" });

export const newRollbackSchema = z
  .strictObject({
    version: version.optional().describe("Left out: the last push is taken back. `none`: each node's own files"),
    reason: reason.default(""),
    breakGlass: reason.min(1).optional(),
  })
  .meta({ id: "NewRollback" });
export const newResolveSchema = z
  .strictObject({ take: version, reason: reason.default("") })
  .meta({ id: "NewResolve" });
