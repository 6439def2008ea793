/**
 * Routes → OpenAPI 3.1, through @fastify/swagger; shapes come from the zod schemas that also validate.
 * @module
 */
import type { FastifyDynamicSwaggerOptions } from "@fastify/swagger";
import type { FastifySchema } from "fastify";
import { z } from "zod";
import type { Route } from "#api/route.ts";
import * as ours from "#api/schemas.ts";
import * as anycast from "#api/schemas-anycast.ts";
import * as balancer from "#api/schemas-balancer.ts";
import * as config from "#api/schemas-config.ts";
import * as evacuation from "#api/schemas-evacuation.ts";
import * as http from "#api/schemas-http.ts";
import * as load from "#api/schemas-load.ts";

type Json = Record<string, unknown>;
const COMPONENT = "#/components/schemas/";

/** JSON Schema of one zod schema; whatever has an id is referred to as a component. */
function toJson(schema: z.ZodType, io: "input" | "output"): Json {
  const id = schema.meta()?.id;
  if (id !== undefined) return { $ref: COMPONENT + id };
  const json = z.toJSONSchema(schema, { io, unrepresentable: "any" }) as Json;
  delete json["$schema"];
  delete json["$defs"];
  return JSON.parse(JSON.stringify(json).replaceAll("#/$defs/", COMPONENT)) as Json;
}

/** Our schemas that have an id, as OpenAPI components. Bodies have ids of their own (`New…`), so one direction will do. */
function components(): Record<string, Json> {
  const registry = z.registry<{ id: string }>();
  for (const schema of [ours, anycast, balancer, config, evacuation, http, load].flatMap<unknown>(Object.values)) {
    const id = schema instanceof z.ZodType ? schema.meta()?.id : undefined;
    if (schema instanceof z.ZodType && id !== undefined) registry.add(schema, { id });
  }
  const { schemas } = z.toJSONSchema(registry, { uri: (id) => COMPONENT + id, io: "input", unrepresentable: "any" });
  return Object.fromEntries(Object.entries(schemas).map(([id, { $schema, $id, ...json }]) => [id, json as Json]));
}

const PROBLEM = {
  type: "object",
  description: "RFC 9457 problem details",
  required: ["type", "title", "status", "detail", "instance", "code", "fix"],
  properties: {
    type: { type: "string" },
    title: { type: "string", description: "What failed, with which value" },
    status: { type: "integer" },
    detail: { type: "string" },
    instance: { type: "string" },
    code: { type: "string", description: "Documented in docs/errors.md" },
    fix: { type: "string", description: "What to do" },
    problems: { type: "array", items: { type: "object" } },
  },
};

function responsesOf(route: Route): Json {
  const { response, status } = route;
  const success: Json = { description: status === 204 ? "Done" : "Success" };
  if (typeof response === "string") success["content"] = { [response]: { schema: { type: "string" } } };
  else if (response) success["content"] = { "application/json": { schema: toJson(response, "output") } };
  const refusal = {
    description: "Refused or failed",
    content: { "application/problem+json": { schema: { $ref: `${COMPONENT}Problem` } } },
  };
  return { [status]: success, default: refusal };
}

const isRequired = (schema: Json, name: string): boolean =>
  Array.isArray(schema["required"]) && schema["required"].includes(name);

function parametersOf(schema: z.ZodType | undefined, where: "path" | "query"): Json[] {
  if (!schema) return [];
  const json = toJson(schema, "input");
  return Object.entries((json["properties"] ?? {}) as Record<string, Json>).map(([name, { description, ...rest }]) => ({
    name,
    in: where,
    required: where === "path" || isRequired(json, name),
    ...(description === undefined ? {} : { description }),
    schema: rest,
  }));
}

/** The operation object of a route. */
function operationOf(route: Route): Json {
  const parameters = [...parametersOf(route.params, "path"), ...parametersOf(route.query, "query")];
  return {
    operationId:
      route.url === "/"
        ? "getDashboard"
        : `${route.method.toLowerCase()}${route.url.replace(/[^A-Za-z]+(.)?/g, (_all, next: string | undefined) => (next ?? "").toUpperCase())}`,
    summary: route.summary,
    tags: [route.tag],
    description: route.role === "public" ? "No token needed." : `Needs the role ${route.role}.`,
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(route.body
      ? { requestBody: { required: true, content: { "application/json": { schema: toJson(route.body, "input") } } } }
      : {}),
    responses: responsesOf(route),
    security: route.role === "public" ? [] : [{ token: [] }, { session: [] }],
  };
}

/** Options for @fastify/swagger; `transformObject` replaces what it derived by what the zod schemas say. */
export function swaggerOptions(routes: readonly Route[], version: string): FastifyDynamicSwaggerOptions {
  return {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "rhumb control API",
        version,
        description: "Authoritative GeoDNS and global load balancing. Errors are RFC 9457 problem details.",
        license: { name: "MIT", identifier: "MIT" },
      },
      components: {
        securitySchemes: {
          token: { type: "http", scheme: "bearer" },
          session: { type: "apiKey", in: "cookie", name: "rhumb_session", description: "Name ends in the port" },
        },
      },
    },
    // zod schemas are not JSON schemas: swagger gets the frame of each route, `transformObject` the rest.
    transform: ({ schema, url }) => ({ schema: { hide: schema?.hide ?? false } as FastifySchema, url }),
    transformObject: (documentObject) => {
      const document = ("openapiObject" in documentObject ? documentObject.openapiObject : {}) as Json & {
        paths: Record<string, Record<string, Json>>;
      };
      for (const route of routes) {
        const path = route.url.replace(/:([A-Za-z]+)/g, "{$1}");
        const methods = document.paths[path];
        if (methods?.[route.method.toLowerCase()]) methods[route.method.toLowerCase()] = operationOf(route);
      }
      document["components"] = {
        ...(document["components"] as Json),
        schemas: { ...components(), Problem: PROBLEM },
      };
      return document as never;
    },
  };
}
