/**
 * What RFC 9111 forbids, read plainly and slowly: of each response that a backend has ever sent it is known what was asked, what
 * was said, and what happened since.
 */
import { type Fields, fieldOf, listOf } from "#l7/message.ts";

export type Sent = {
  readonly id: string;
  readonly url: string;
  readonly asked: Fields;
  fields: Fields;
  /** When its request, or that of the last 304 for it, left and was answered; order over all events. */
  order: number;
  startedMs: number;
  cameMs: number;
};

export type Served = {
  readonly url: string;
  readonly asked: Fields;
  readonly atMs: number;
  /** A 304 of this very exchange said that it is still good. */
  readonly isValidated: boolean;
  /** The backend failed in this very exchange. */
  readonly hasFailed: boolean;
};

const directives = (fields: Fields): Map<string, number | undefined> => {
  const found = new Map<string, number | undefined>();
  for (const member of (listOf(fields, "cache-control") ?? "").split(",")) {
    const [name, value] = member.trim().split("=");
    if (name) found.set(name, value === undefined ? undefined : Number(value));
  }
  return found;
};

/** @param invalidOrder of the last write to the URL that succeeded; -1: none @returns why it may not be served so */
export function forbidden(sent: Sent, to: Served, invalidOrder: number): string | undefined {
  const said = directives(sent.fields);
  const asked = directives(sent.asked);
  const wanted = directives(to.asked);
  // §4, §4.1
  if (sent.url !== to.url) return "of another URL";
  for (const name of (listOf(sent.fields, "vary") ?? "").split(",").map((part) => part.trim())) {
    if (name === "*") return "varies by everything";
    if (name !== "" && listOf(sent.asked, name) !== listOf(to.asked, name)) return `another ${name}`;
  }
  // The backend has just said so to this very client.
  if (to.isValidated) return undefined;
  // §3, §3.5
  if (said.has("no-store") || asked.has("no-store")) return "no-store";
  if (said.has("private")) return "private";
  if (
    fieldOf(sent.asked, "authorization") !== undefined &&
    !["public", "s-maxage", "must-revalidate"].some((name) => said.has(name))
  )
    return "of somebody who is known";
  // §4.4
  if (invalidOrder > sent.order) return "written since";
  // §5.2.1.4, §5.2.2.4
  if (said.has("no-cache")) return "not validated (response)";
  if (wanted.has("no-cache")) return "not validated (request)";
  // §4.2
  const lifetime = said.get("s-maxage") ?? said.get("max-age") ?? 0;
  const dateMs = Date.parse(fieldOf(sent.fields, "date")!);
  const cameOld = Math.max(
    0,
    sent.cameMs - dateMs,
    Number(fieldOf(sent.fields, "age") ?? 0) * 1000 + sent.cameMs - sent.startedMs,
  );
  const ageMs = cameOld + to.atMs - sent.cameMs;
  const staleMs = ageMs - lifetime * 1000;
  if (wanted.has("max-age") && ageMs > wanted.get("max-age")! * 1000) return "older than was asked for";
  if (wanted.has("min-fresh") && -staleMs < wanted.get("min-fresh")! * 1000)
    return "not fresh for as long as was asked for";
  if (staleMs < 0) return undefined;
  // §4.2.4, RFC 5861
  if (said.has("must-revalidate") || said.has("proxy-revalidate")) return "stale, and must be revalidated";
  if (
    wanted.has("max-stale") &&
    !said.has("s-maxage") &&
    staleMs <= (wanted.get("max-stale") ?? Number.POSITIVE_INFINITY) * 1000
  )
    return undefined;
  if (wanted.has("max-age") || wanted.has("min-fresh")) return "stale, and was to be fresh";
  if (staleMs < (said.get("stale-while-revalidate") ?? 0) * 1000) return undefined;
  if (to.hasFailed && staleMs < (said.get("stale-if-error") ?? 0) * 1000) return undefined;
  return "stale";
}
