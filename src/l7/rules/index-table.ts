/**
 * Rules by host and path: a request is held against those alone that its host and path lead to.
 *
 * Owns:    tables by host (exact, `*.suffix`, any), and in each by path: exact, by segments, by prefix. A regular expression
 *          that begins with literal text lies with the prefixes; others are tried one by one.
 * Never:   keeps anything of a request.
 * @module
 */
import { compilePattern, type Pattern } from "#base/pattern.ts";
import type { MatchSpec, PathMatch } from "#state/http.ts";

/** A rule at one of its paths. */
export type Entry = { readonly rule: number; readonly pattern: Pattern | undefined };

/** Called with entries in the order of their rules; a rule may come more than once. */
export type Visit = (entries: readonly Entry[]) => void;

class PathTable {
  readonly #exact = new Map<string, Entry[]>();
  readonly #segments = new Map<string, Entry[]>();
  readonly #prefixes = new Map<string, Entry[]>();
  readonly #rest: Entry[] = [];
  /** Of which lengths there are segments and prefixes: others need not be cut out of a path. */
  #segmentLengths: boolean[] = [];
  #prefixLengths: number[] = [];

  add(rule: number, path: PathMatch | undefined): void {
    if (path === undefined || (path.kind === "segment" && path.value === "/")) {
      push(this.#rest, { rule, pattern: undefined });
      return;
    }
    const { kind, value } = path;
    if (kind === "exact") push(listIn(this.#exact, value), { rule, pattern: undefined });
    else if (kind === "segment") {
      push(listIn(this.#segments, value), { rule, pattern: undefined });
      this.#segmentLengths[value.length] = true;
    } else {
      const pattern = kind === "regex" ? compilePattern(value) : undefined;
      const prefix = pattern ? pattern.prefix : value;
      if (prefix === "") {
        push(this.#rest, { rule, pattern });
        return;
      }
      push(listIn(this.#prefixes, prefix), { rule, pattern });
      this.#prefixLengths = [...new Set([...this.#prefixLengths, prefix.length])].sort((a, b) => a - b);
    }
  }

  visit(path: string, visit: Visit): void {
    const exact = this.#exact.size > 0 ? this.#exact.get(path) : undefined;
    if (exact) visit(exact);
    if (this.#segments.size > 0) {
      for (let at = path.indexOf("/", 1); at >= 0; at = path.indexOf("/", at + 1)) this.#visitSegment(path, at, visit);
      this.#visitSegment(path, path.length, visit);
    }
    for (const length of this.#prefixLengths) {
      if (length > path.length) break;
      const list = this.#prefixes.get(path.slice(0, length));
      if (list) visit(list);
    }
    if (this.#rest.length > 0) visit(this.#rest);
  }
  #visitSegment(path: string, length: number, visit: Visit): void {
    if (this.#segmentLengths[length] !== true) return;
    const list = this.#segments.get(path.slice(0, length));
    if (list) visit(list);
  }
}

function listIn(map: Map<string, Entry[]>, key: string): Entry[] {
  let list = map.get(key);
  if (!list) {
    list = [];
    map.set(key, list);
  }
  return list;
}
/** The same rule at the same place twice says nothing new. */
function push(list: Entry[], entry: Entry): void {
  const last = list.at(-1);
  if (last?.rule !== entry.rule || last.pattern || entry.pattern) list.push(entry);
}

export class RuleIndex {
  readonly #exact = new Map<string, PathTable>();
  /** By what follows the star: `.example.com`. */
  readonly #wild = new Map<string, PathTable>();
  readonly #any = new PathTable();

  constructor(matches: readonly MatchSpec[]) {
    for (const [rule, { hosts, paths }] of matches.entries())
      for (const table of this.#tablesOf(hosts))
        for (const path of paths.length === 0 ? [undefined] : paths) table.add(rule, path);
  }
  #tablesOf(hosts: readonly string[]): PathTable[] {
    if (hosts.length === 0) return [this.#any];
    return hosts.map((host) => {
      const isWild = host.startsWith("*");
      const [map, key] = isWild ? [this.#wild, host.slice(1)] : [this.#exact, host];
      let table = map.get(key);
      if (!table) {
        table = new PathTable();
        map.set(key, table);
      }
      return table;
    });
  }

  visit(host: string, path: string, visit: Visit): void {
    if (this.#exact.size > 0) this.#exact.get(host)?.visit(path, visit);
    if (this.#wild.size > 0)
      for (let dot = host.indexOf(".", 1); dot >= 0; dot = host.indexOf(".", dot + 1))
        this.#wild.get(host.slice(dot))?.visit(path, visit);
    this.#any.visit(path, visit);
  }
}
