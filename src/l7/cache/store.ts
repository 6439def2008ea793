/**
 * Responses by URL, within a number of octets.
 *
 * Owns:    the map, the order of leaving, and the count of octets, those of bodies that are still coming included.
 *          What leaves is chosen by SIEVE (Zhang, Yang, Yue, Vigfusson, Rashmi: "SIEVE is Simpler than LRU", NSDI 2024): a
 *          hit sets a bit and moves nothing; a hand goes from old to new, clears bits, and takes the first that has none. One
 *          pass over many URLs that are asked for once does not push out what is asked for often.
 * Never:   reads a clock, knows HTTP.
 * @module
 */
import { CodedBodies } from "#l7/cache/coded-bodies.ts";
import type { StoredResponse } from "#l7/cache/stored-response.ts";

/** Variants of one URL; the oldest goes when there are more: a client could make up any number of them. */
const MAX_VARIANTS = 64;

export class Store {
  readonly name: string;
  maxOctets: number;
  octets = 0;
  objects = 0;
  stored = 0;
  evicted = 0;
  /** Of bodies that are still coming. */
  #reserved = 0;
  readonly #byKey = new Map<string, StoredResponse[]>();
  #newest: StoredResponse | undefined;
  #oldest: StoredResponse | undefined;
  #hand: StoredResponse | undefined;

  constructor(name: string, maxOctets: number) {
    this.name = name;
    this.maxOctets = maxOctets;
  }

  /** All that it holds, bodies that are still coming included. */
  get held(): number {
    return this.octets + this.#reserved;
  }

  /** All variants of a URL, the newest last. */
  variants(key: string): readonly StoredResponse[] | undefined {
    return this.#byKey.get(key);
  }

  /** Makes room for more of a body that is coming. @returns false: there is none */
  reserve(octets: number): boolean {
    if (!this.#makeRoom(octets)) return false;
    this.#reserved += octets;
    return true;
  }

  release(octets: number): void {
    this.#reserved -= octets;
  }

  /** In place of what has the same place. @returns false: it is longer than all there is room for */
  add(response: StoredResponse): boolean {
    const { key, scope, pool, selector } = response.place;
    for (const other of this.#byKey.get(key) ?? []) {
      const place = other.place;
      if (
        place.scope === scope &&
        place.pool === pool &&
        place.selector === selector &&
        sameNames(place.varies, response.place.varies)
      )
        this.remove(other);
    }
    const octets = response.weigh(response.bodyOctets);
    if (!this.#makeRoom(octets)) return false;
    response.octets = octets;
    const variants = this.#byKey.get(key);
    if (variants === undefined) this.#byKey.set(key, [response]);
    else {
      if (variants.length >= MAX_VARIANTS) this.#evict(variants[0]!);
      variants.push(response);
    }
    response.isStored = true;
    response.coded = new CodedBodies(response, this);
    response.isVisited = false;
    response.older = this.#newest;
    if (this.#newest !== undefined) this.#newest.newer = response;
    this.#newest = response;
    this.#oldest ??= response;
    this.octets += octets;
    this.objects++;
    this.stored++;
    return true;
  }

  /** After its fields, or what compression made of its body, have changed. */
  reweigh(response: StoredResponse): void {
    if (!response.isStored) return;
    const octets = response.weigh(response.bodyOctets);
    this.octets += octets - response.octets;
    response.octets = octets;
    this.#makeRoom(0);
  }

  remove(response: StoredResponse): void {
    if (!response.isStored) return;
    response.isStored = false;
    const key = response.place.key;
    const variants = this.#byKey.get(key)!;
    variants.splice(variants.indexOf(response), 1);
    if (variants.length === 0) this.#byKey.delete(key);
    if (this.#hand === response) this.#hand = response.newer;
    if (response.newer === undefined) this.#newest = response.older;
    else response.newer.older = response.older;
    if (response.older === undefined) this.#oldest = response.newer;
    else response.older.newer = response.newer;
    response.newer = undefined;
    response.older = undefined;
    this.octets -= response.octets;
    this.objects--;
  }

  /** @returns how many variants of a URL went */
  removeKey(key: string): number {
    const variants = [...(this.#byKey.get(key) ?? [])];
    for (const response of variants) this.remove(response);
    return variants.length;
  }

  *all(): Generator<StoredResponse> {
    for (let at = this.#oldest; at !== undefined; ) {
      const newer = at.newer;
      yield at;
      at = newer;
    }
  }

  resize(maxOctets: number): void {
    this.maxOctets = maxOctets;
    this.#makeRoom(0);
  }

  #makeRoom(octets: number): boolean {
    const most = this.maxOctets - this.#reserved - octets;
    if (most < 0) return false;
    while (this.octets > most && this.#oldest !== undefined) {
      let at = this.#hand ?? this.#oldest;
      while (at.isVisited) {
        at.isVisited = false;
        at = at.newer ?? this.#oldest;
      }
      this.#hand = at;
      this.#evict(at);
    }
    return this.octets <= most;
  }

  #evict(response: StoredResponse): void {
    this.remove(response);
    this.evicted++;
  }
}

const sameNames = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((name, at) => name === b[at]);
