/**
 * The control API of a node under drill, as far as a drill looks at it.
 * @module
 */
import { z } from "zod";
import type { NodeEvent } from "#drill/collected.ts";
import type { StageNode } from "#drill/stage.ts";

const TIMEOUT_MS = 2_000;

const eventSchema = z.object({
  id: z.string(),
  atMs: z.number(),
  kind: z.string(),
  severity: z.string(),
  subject: z.string(),
  says: z.string(),
});
const regionSchema = z.object({ id: z.string(), health: z.object({ serving: z.string() }) });
const overrideSchema = z.object({ id: z.string(), target: z.string(), verb: z.string(), owner: z.string() });
const evacuationSchema = z.object({ region: z.string(), step: z.string(), owner: z.string() });

/** @throws Error when the node does not answer, or something else than it should */
async function get<T>(node: StageNode, path: string, schema: z.ZodType<T>): Promise<T> {
  const response = await fetch(new URL(path, node.api), {
    headers: { accept: "application/json", authorization: `Bearer ${node.token}` },
    signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (!response.ok) throw new Error(`${node.name} answers ${path} with status ${response.status}`);
  return schema.parse(await response.json());
}

export type NumberedEvent = { readonly id: string; readonly event: NodeEvent };

/** @param after id of the last event that is known: only later ones come, all of them after a restart of the node */
export async function eventsOf(node: StageNode, after: string | undefined): Promise<NumberedEvent[]> {
  const query = after === undefined ? "" : `?after=${encodeURIComponent(after)}`;
  const list = await get(node, `/events${query}`, z.array(eventSchema));
  return list.map(({ id, ...event }) => ({ id, event: { node: node.name, ...event } }));
}

/** @returns regions that a node sends clients to */
export async function regionsUp(node: StageNode): Promise<string[]> {
  const regions = await get(node, "/regions", z.array(regionSchema));
  return regions.filter(({ health }) => health.serving === "up").map(({ id }) => id);
}

/** What operators have said: each override and evacuation as a text that stays the same while it stands, with its target. */
export type Word = { readonly says: string; readonly target: string };

export async function wordsOf(node: StageNode): Promise<Word[]> {
  const overrides = await get(node, "/overrides", z.array(overrideSchema));
  const evacuations = await get(node, "/evacuations", z.array(evacuationSchema)).catch(() => []);
  return [
    ...overrides.map(({ target, verb, owner }) => ({ says: `override ${verb} of ${target} by ${owner}`, target })),
    ...evacuations
      .filter(({ step }) => step !== "serving")
      .map(({ region, owner }) => ({ says: `evacuation of ${region} by ${owner}`, target: `region/${region}` })),
  ];
}
