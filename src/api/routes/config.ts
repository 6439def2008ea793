/** Routes of the configuration: look at it, push it to all nodes, go back, settle a conflict, reload files. @module */
import { z } from "zod";
import { ApiError } from "#api/problem-details.ts";
import { defineRoute, type Route, type RouteContext } from "#api/route.ts";
import * as schemas from "#api/schemas-config.ts";
import type { ConfigChangeView, PushRequest } from "#api/views.ts";

function answerChange<Change extends ConfigChangeView>(change: Change): Change {
  const errors = change.problems.filter(({ severity }) => severity === "error");
  if (errors.length === 0) return change;
  throw new ApiError("RHUMB_CONFIG_INVALID", `with ${errors.length} error${errors.length === 1 ? "" : "s"}`, {
    problems: change.problems,
  });
}

/** A body that names what it pushes, or an overlay as it is: one that lies over the files of all nodes alike. */
function readPush(body: Readonly<Record<string, unknown>>): Omit<PushRequest, "isDryRun"> {
  if (!Object.hasOwn(body, "files") && !Object.hasOwn(body, "overlay"))
    return { overlay: body, files: undefined, partial: false, reason: "", breakGlass: undefined, basedOn: undefined };
  const parsed = schemas.newPushSchema.safeParse(body);
  if (!parsed.success) {
    const { path, message } = parsed.error.issues[0]!;
    throw new ApiError("RHUMB_API_INPUT", `${path.join(".") || "body"}: ${message}`);
  }
  const { files, overlay, partial, reason, breakGlass, basedOn } = parsed.data;
  return { files, overlay, partial, reason, breakGlass, basedOn };
}

/** For the audit log: what is pushed, and whether the glass was broken for it. */
function subjectOf(body: Readonly<Record<string, unknown>>, isDryRun: boolean): string {
  const { files, overlay, breakGlass } = body as { files?: object; overlay?: object; breakGlass?: unknown };
  const names = files || overlay ? { ...files, ...overlay } : body;
  const glass = typeof breakGlass === "string" ? `; glass broken: ${breakGlass}` : "";
  return `${isDryRun ? "dry run of " : ""}${Object.keys(names).join(", ") || "nothing"}${glass}`;
}

export function configRoutes({ views, commands }: RouteContext): Route[] {
  return [
    defineRoute({
      method: "GET",
      url: "/config",
      role: "read",
      tag: "Configuration",
      summary: "The effective configuration; secrets are masked",
      response: schemas.configSchema,
      handle: () => views.config(),
    }),
    defineRoute({
      method: "PUT",
      url: "/config",
      role: "admin",
      tag: "Configuration",
      summary: "Push files and overlay to all nodes; a body without `files` and `overlay` is itself the overlay",
      query: z.strictObject({ dryRun: z.enum(["true", "false"]).default("false") }),
      body: z.record(z.string(), z.unknown()),
      response: schemas.configPushSchema,
      bodyLimitOctets: schemas.MAX_PUSH_OCTETS,
      subject: ({ query, body }) => subjectOf(body, query.dryRun === "true"),
      handle: async ({ body, query, actor }) =>
        answerChange(await commands.proposeConfig({ ...readPush(body), isDryRun: query.dryRun === "true" }, actor!)),
    }),
    defineRoute({
      method: "POST",
      url: "/config/reload",
      role: "operate",
      tag: "Configuration",
      summary: "Read the files again, as SIGHUP does",
      response: schemas.configChangeSchema,
      subject: () => "files",
      handle: async ({ actor }) => answerChange(await commands.reloadConfig(actor!)),
    }),
    defineRoute({
      method: "GET",
      url: "/config/export",
      role: "read",
      tag: "Configuration",
      summary: "Files, what was pushed, and overlay in one, as YAML",
      response: "application/yaml",
      handle: async ({ reply }) => {
        reply.header("content-type", "application/yaml; charset=utf-8");
        return views.configExport();
      },
    }),
    defineRoute({
      method: "GET",
      url: "/config/desired",
      role: "admin",
      tag: "Configuration",
      summary: "What was pushed to all nodes, text by text, as it is",
      response: schemas.desiredSchema,
      handle: () => views.desired(),
    }),
    defineRoute({
      method: "GET",
      url: "/config/log",
      role: "read",
      tag: "Configuration",
      summary: "The versions of the desired configuration that this node keeps, newest first",
      response: schemas.desiredLogSchema,
      handle: () => views.desiredLog(),
    }),
    defineRoute({
      method: "GET",
      url: "/config/diff",
      role: "read",
      tag: "Configuration",
      summary: "What differs between two versions, or between this node's files and what was pushed",
      query: schemas.desiredDiffQuerySchema,
      response: schemas.desiredDiffSchema,
      handle: ({ query }) => views.desiredDiff(query.from, query.to),
    }),
    defineRoute({
      method: "POST",
      url: "/config/rollback",
      role: "admin",
      tag: "Configuration",
      summary: "Push what an earlier version said; without a version, take the last push back",
      body: schemas.newRollbackSchema,
      response: schemas.configPushSchema,
      subject: ({ body }) => body.version ?? "the last push",
      handle: async ({ body, actor }) => answerChange(await commands.rollbackConfig(body, actor!)),
    }),
    defineRoute({
      method: "POST",
      url: "/config/resolve",
      role: "admin",
      tag: "Configuration",
      summary: "Settle a conflict: the chosen version becomes the desired one on all sides",
      body: schemas.newResolveSchema,
      response: schemas.configPushSchema,
      subject: ({ body }) => body.take,
      handle: async ({ body, actor }) => answerChange(await commands.resolveConfig(body, actor!)),
    }),
  ];
}
