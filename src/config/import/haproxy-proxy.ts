/**
 * One proxy of HAProxy (`frontend`, `backend`, `listen`) with what it takes from its `defaults`.
 * @module
 */
import { HAPROXY_TIME, type Line, type Section } from "#config/import/haproxy-read.ts";
import type { At, Notes } from "#config/import/notes.ts";
import { parseTime } from "#config/import/words.ts";

export type ProxySection = {
  readonly kind: string;
  readonly name: string;
  readonly at: At;
  /** Its own lines. */
  readonly own: readonly Line[];
  /** Those of its `defaults`, then its own: of two that say the same the last counts. */
  readonly all: readonly Line[];
};

/** Of all proxies, with their defaults. */
const MAX_LINES = 500_000;

/** Proxies in their order; each has the `defaults` that it names, else those above it. */
export function proxiesOf(sections: readonly Section[], notes: Notes): ProxySection[] {
  const named = new Map<string, readonly Line[]>();
  let last: readonly Line[] = [];
  const proxies: ProxySection[] = [];
  let lineCount = 0;
  for (const { kind, name, from, at, lines } of sections) {
    const inherited = from === undefined ? last : (named.get(from) ?? []);
    if (from !== undefined && !named.has(from))
      notes.leftOut(at, `There is no defaults section ${JSON.stringify(from)} above`, "Correct the name");
    if (kind === "defaults") {
      last = from === undefined ? lines : [...inherited, ...lines];
      if (name !== "") named.set(name, last);
    }
    if (kind !== "frontend" && kind !== "backend" && kind !== "listen") continue;
    lineCount += inherited.length + lines.length;
    if (lineCount > MAX_LINES)
      notes.leftOut(at, "The file has more proxies and defaults than are read", "Import it in parts");
    else proxies.push({ kind, name, at, own: lines, all: [...inherited, ...lines] });
  }
  return proxies;
}

/** The last line that begins with these words and is not taken back by `no`. */
export function lastOf(proxy: ProxySection, ...words: readonly string[]): Line | undefined {
  const begins = (line: Line, offset: number): boolean =>
    words.every((word, index) => line.words[index + offset] === word);
  return proxy.all.findLast((line) => begins(line, 0) || (line.words[0] === "no" && begins(line, 1)))?.words[0] === "no"
    ? undefined
    : proxy.all.findLast((line) => begins(line, 0));
}

export type Timeouts = ReadonlyMap<string, { readonly ms: number; readonly at: At }>;
export function timeoutsOf(proxy: ProxySection, notes: Notes): Timeouts {
  const timeouts = new Map<string, { ms: number; at: At }>();
  for (const { words, at } of proxy.all) {
    if (words[0] !== "timeout") continue;
    const ms = parseTime(words[2] ?? "", HAPROXY_TIME.units, HAPROXY_TIME.plain);
    if (ms === undefined || words[1] === undefined)
      notes.leftOut(at, `${JSON.stringify(words[2] ?? "")} is no time`, "Write such as 5s or 200ms");
    else timeouts.set(words[1], { ms, at });
  }
  return timeouts;
}

export const modeOf = (proxy: ProxySection): string => lastOf(proxy, "mode")?.words[1] ?? "tcp";
