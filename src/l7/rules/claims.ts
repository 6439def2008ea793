/**
 * Claims of a token as text, by name or by path.
 * @module
 */
export type Claims = Readonly<Record<string, unknown>>;

/** @param path a claim's name, or the way to it: `realm.roles`; a name that holds dots comes first */
function claimAt(claims: Claims, path: string): unknown {
  if (Object.hasOwn(claims, path)) return claims[path];
  let here: unknown = claims;
  for (const step of path.split(".")) {
    if (typeof here !== "object" || here === null || !Object.hasOwn(here, step)) return undefined;
    here = (here as Record<string, unknown>)[step];
  }
  return here;
}

const isPlain = (value: unknown): value is string | number | boolean =>
  typeof value === "string" || typeof value === "number" || typeof value === "boolean";

/** @returns what the claim says, each entry of a list by itself; empty: there is none, or it is a map */
export function claimValues(claims: Claims | undefined, path: string): readonly string[] {
  const value = claims && claimAt(claims, path);
  return (Array.isArray(value) ? value : [value]).filter(isPlain).map(String);
}

/** @returns entries of a list with commas between them; undefined: there is no such claim */
export function claimText(claims: Claims | undefined, path: string): string | undefined {
  const values = claimValues(claims, path);
  return values.length === 0 ? undefined : values.join(",");
}
