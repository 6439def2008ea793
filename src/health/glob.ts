/**
 * Globs over target ids. `*` stands for any characters but `/`: `region/eu-*` means regions, `region/eu-west/*` the
 * addresses of one.
 * @module
 */
/** A bare name, or a glob without `/`, is a region. */
export const fullTarget = (text: string): string => (text.includes("/") ? text : `region/${text}`);

export function createMatcher(glob: string): (id: string) => boolean {
  const full = fullTarget(glob);
  if (!full.includes("*")) return (id) => id === full;
  const pattern = full.replace(/[.+?^${}()|[\]\\]/g, "\\$&").replace(/\*+/g, "[^/]*");
  const expression = new RegExp(`^${pattern}$`);
  return (id) => expression.test(id);
}
