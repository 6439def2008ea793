/**
 * Cookies of ours on a response.
 *
 * Rule:    they go to one client. What the cache of ours keeps was copied before; every other shared cache is told to keep
 *          nothing, as RFC 9111 §7.3 leaves it to who sets cookies. `private` and not `no-cache="set-cookie"`: caches may
 *          take the latter for the former anyway (§5.2.2.4).
 * @module
 */
import { type Fields, listOf } from "#l7/message.ts";

/** Adds them last, after all that rules edit: what an operator says of `Cache-Control` is not meant for cookies of ours. */
export function setCookies(fields: Fields, cookies: readonly string[] | undefined): void {
  if (cookies === undefined) return;
  for (const cookie of cookies) fields.push("set-cookie", cookie);
  if (!isPrivate(listOf(fields, "cache-control"))) fields.push("cache-control", "private");
}

/** With names of fields `private` is about these alone (RFC 9111 §5.2.2.7). */
const isPrivate = (directives: string | undefined): boolean =>
  directives?.split(",").some((directive) => /^(private|no-store)$/i.test(directive.trim())) ?? false;
