/**
 * The chain: runs a service's filters over its regions, with the empty rule of each and a floor at the end.
 *
 * Owns:    the order of things, and what happens when nothing is left (ruling 7). Serving and explaining both come
 *          through `runChain`; a tracer is all that tells them apart.
 * Never:   reads a clock, the health table, or anything else that is not handed in.
 *
 * What is never undone: an operator's `down`, and geofences. What may be: verdicts and load. The floor, when a chain
 * ends empty: the service's fallback; else the best that is left within the fences, in the order up, returning,
 * drained, stale, down; else, when operators have taken all of it down, SERVFAIL
 * (docs/decisions/0004-everything-overridden-down.md).
 * @module
 */
import type { FilterSpec } from "#state/snapshot.ts";
import type { BoundService, Candidate, Candidates } from "#steer/candidate.ts";
import type { FilterContext, World } from "#steer/filter.ts";
import { RANK, type Rank, type RegionState } from "#steer/region-state.ts";
import { isWithinShare, ROLL, type Rolls } from "#steer/rolls.ts";
import { filterFor } from "#steer/table.ts";

/** One thing that happened on the way, for explain. */
export type ChainStep = {
  /** Name of the filter; `override` before the first, `spread` or `floor` after the last. */
  readonly filter: string;
  readonly before: Candidates;
  readonly after: Candidates;
  readonly notes: readonly { readonly candidate: Candidate; readonly reason: string }[];
  /** What the empty rule did; empty when it had nothing to do. */
  readonly rule: string;
};
export type Tracer = (step: ChainStep) => void;

export type ChainResult = {
  readonly outcome: "answer" | "nodata" | "servfail" | "fallback";
  /** In order of preference; not empty for `answer`. */
  readonly kept: Candidates;
  /** Service that is to answer; set for `fallback`. */
  readonly fallback: string | undefined;
  /** Something is in the answer that is stale or down, because nothing better was left. */
  readonly isFailOpen: boolean;
  /** Set of `ROLL` bits that were asked for. When it is 0, no roll could have changed the result. */
  readonly asked: number;
};

/** Pure: equal arguments, equal result. */
export function runChain(service: BoundService, world: World, rolls: Rolls, tracer?: Tracer): ChainResult {
  return new ChainRun(service, world, rolls, tracer).run();
}

/** Rank of a candidate for one client: outside of its ramp or drain share a region counts as less than up. */
function rankFor(candidate: Candidate, states: readonly RegionState[], ramp: () => number): Rank {
  const state = states[candidate.index]!;
  if (state.rank !== RANK.up || state.rankOutsideShare === RANK.up) return state.rank;
  return isWithinShare(ramp(), candidate.region.hash, state.share) ? RANK.up : state.rankOutsideShare;
}

class ChainRun {
  readonly #service: BoundService;
  readonly #world: World;
  readonly #tracer: Tracer | undefined;
  readonly #context: FilterContext;
  #asked = 0;
  #isFailOpen = false;
  #notes: { candidate: Candidate; reason: string }[] = [];

  constructor(service: BoundService, world: World, rolls: Rolls, tracer: Tracer | undefined) {
    this.#service = service;
    this.#world = world;
    this.#tracer = tracer;
    this.#context = {
      facts: world.facts,
      states: world.states,
      measuredMicros: world.measuredMicros,
      spread: world.spread,
      roll: (name) => {
        this.#asked |= ROLL[name];
        return rolls[name];
      },
      note: tracer ? (candidate, reason) => this.#notes.push({ candidate, reason }) : () => {},
    };
  }

  run(): ChainResult {
    const { chain } = this.#service.spec;
    const allowed = this.#withoutOverriddenDown();
    let candidates = allowed;
    // Where `next` goes back to: the last `priority` on the way. Without one there is no next tier.
    let tierFilter = 0;
    let tierCandidates: Candidates = [];
    const exhausted = new Set<number>();
    for (let at = 0; at < chain.length && candidates.length > 0; at++) {
      const filter = chain[at]!;
      if (filter.name === "priority" && (at !== tierFilter || tierCandidates.length === 0)) {
        tierFilter = at;
        tierCandidates = candidates;
        exhausted.clear();
      }
      const before = candidates;
      candidates = filterFor(filter).run(before, filter, this.#context);
      if (candidates.length > 0) {
        this.#trace(filter.name, before, candidates, "");
        continue;
      }
      const rule = "onEmpty" in filter ? filter.onEmpty : "undo";
      if (rule === "nodata" && this.#mayAnswerEmpty(at)) {
        this.#trace(filter.name, before, [], "nothing is left: answers empty, as the service allows");
        return this.#result("nodata", []);
      }
      if (rule === "next") {
        for (const { priority } of before) exhausted.add(priority);
        candidates = tierCandidates.filter(({ priority }) => !exhausted.has(priority));
        const found = candidates.length > 0 ? "takes the next tier" : "no tier is left";
        this.#trace(filter.name, before, candidates, `nothing is left: ${found}`);
        at = tierFilter - 1;
        continue;
      }
      if (typeof rule === "object") {
        this.#trace(filter.name, before, [], `nothing is left: service ${rule.fallback} answers`);
        return this.#result("fallback", [], rule.fallback);
      }
      // A fence is never undone, and what may not answer empty goes to the floor.
      if (rule === "undo") candidates = this.#undo(filter, before);
      this.#trace(
        filter.name,
        before,
        candidates,
        candidates.length > 0 ? "nothing is left: undone" : "nothing is left",
      );
    }
    return candidates.length > 0 ? this.#result("answer", this.#spread(candidates)) : this.#floor(allowed);
  }

  /** Puts the region first that the plan sends this client to, where its first choice has too many. */
  #spread(kept: Candidates): Candidates {
    const natural = kept[0]!;
    const shares = this.#world.spread?.get(natural.regionNumber);
    if (shares === undefined) return kept;
    const roll = this.#context.roll("spread");
    const number = shares.regions[shares.ends.findIndex((end) => roll < end)];
    const to = this.#service.candidates.find(({ regionNumber }) => regionNumber === number);
    if (to === undefined || to === natural || !this.#mayTake(to)) {
      this.#context.note(natural, "keeps this client; the plan moves others");
      this.#trace("spread", kept, kept, "");
      return kept;
    }
    const moved = [to, ...kept.filter((candidate) => candidate !== to)].slice(0, kept.length);
    this.#context.note(to, `takes this client from ${natural.region.id}, by the plan`);
    this.#trace("spread", kept, moved, "");
    return moved;
  }

  /** A plan is older than health: what has gone down or stands outside of a fence meanwhile takes nobody. */
  #mayTake(candidate: Candidate): boolean {
    if (rankFor(candidate, this.#world.states, () => this.#context.roll("ramp")) !== RANK.up) return false;
    return this.#service.spec.chain.every(
      (filter) => filter.name !== "geofence" || filterFor(filter).run([candidate], filter, this.#context).length > 0,
    );
  }

  #withoutOverriddenDown(): Candidates {
    const all = this.#service.candidates;
    const allowed = all.filter((candidate) => {
      const state = this.#world.states[candidate.index]!;
      if (state.rank !== RANK.overriddenDown) return true;
      this.#context.note(candidate, state.says);
      return false;
    });
    if (allowed.length < all.length) this.#trace("override", all, allowed, "");
    return allowed;
  }

  /** Empty may be what the service allows, but never what only some clients would get: it is cached for all. */
  #mayAnswerEmpty(at: number): boolean {
    if (!this.#service.spec.allowEmpty || this.#asked !== 0) return false;
    return this.#service.spec.chain.slice(0, at + 1).every((filter) => {
      const { uses } = filterFor(filter);
      return !uses.geo && !uses.hash;
    });
  }

  /** @returns nothing where the floor is to decide: for a fence, and where a fallback is better than what is down */
  #undo(filter: FilterSpec, before: Candidates): Candidates {
    if (filter.name === "geofence") return [];
    if (filter.name !== "healthy") return before;
    return this.#service.spec.fallback === undefined ? this.#readmit(before) : [];
  }

  /** The best that is left: all candidates of the lowest rank. */
  #readmit(candidates: Candidates): Candidates {
    const ramp = (): number => this.#context.roll("ramp");
    const ranks = candidates.map((candidate) => rankFor(candidate, this.#world.states, ramp));
    const best = Math.min(...ranks);
    if (best >= RANK.stale) this.#isFailOpen = true;
    return candidates.filter((_, index) => ranks[index] === best);
  }

  /** Nothing is left at the end of the chain. */
  #floor(allowed: Candidates): ChainResult {
    const { chain, fallback } = this.#service.spec;
    if (fallback !== undefined) {
      this.#trace("floor", [], [], `service ${fallback} answers`);
      return this.#result("fallback", [], fallback);
    }
    let fenced = allowed;
    for (const filter of chain) {
      if (filter.name === "geofence") fenced = filterFor(filter).run(fenced, filter, this.#context);
    }
    if (fenced.length === 0) {
      this.#trace("floor", allowed, [], "operators have taken down all that this client may be given: SERVFAIL");
      return this.#result("servfail", []);
    }
    let candidates = this.#readmit(fenced);
    this.#trace("floor", fenced, candidates, "the best that is left: up, returning, drained, stale, down");
    // Order and limit still hold; what looks at verdicts and load has had its say.
    for (const filter of chain) {
      const { kind, uses, run } = filterFor(filter);
      if (filter.name === "geofence" || (kind === "sift" && uses.state)) continue;
      const before = candidates;
      const after = run(before, filter, this.#context);
      if (after.length > 0) candidates = after;
      this.#trace(filter.name, before, candidates, "");
    }
    return this.#result("answer", candidates);
  }

  #trace(filter: string, before: Candidates, after: Candidates, rule: string): void {
    if (!this.#tracer) return;
    this.#tracer({ filter, before, after, notes: this.#notes, rule });
    this.#notes = [];
  }

  #result(outcome: ChainResult["outcome"], kept: Candidates, fallback?: string): ChainResult {
    return { outcome, kept, fallback, isFailOpen: this.#isFailOpen, asked: this.#asked };
  }
}
