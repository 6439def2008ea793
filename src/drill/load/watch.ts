/**
 * Asks each DNS node the same question all the time, past every cache, and says when what it answers changes.
 *
 * @module
 */
import type { Rng } from "#base/rng.ts";
import { createDnsAsker } from "#drill/load/dns-ask.ts";
import type { DnsAnswer, Question } from "#drill/load/dns-question.ts";
import type { LoadSpec } from "#drill/load/protocol.ts";

export const WATCH_EVERY_MS = 100;
const PATIENCE_MS = 500;
/** So many questions in a row without an answer make a node silent. */
const MISSES_TO_SILENCE = 3;

/** What a node says now: an answer, or nothing at all. */
export type Word = DnsAnswer | "silent";

/**
 * What one node says, from what becomes of questions, which come to their end in any order: what is older than the newest
 * answer says nothing of now.
 */
export class NodeWord {
  #newest = -1;
  #misses = 0;
  #said: string | undefined;

  /**
   * @param sequence of the question: later ones have greater numbers
   * @returns what the node says now, if it is not what it said before
   */
  note(sequence: number, said: DnsAnswer | undefined): Word | undefined {
    if (sequence <= this.#newest) return undefined;
    if (said === undefined) return ++this.#misses < MISSES_TO_SILENCE ? undefined : this.#change("silent", "silent");
    this.#newest = sequence;
    this.#misses = 0;
    return this.#change(`${said.rcode} ${said.addresses.join(" ")}`, said);
  }

  #change(key: string, word: Word): Word | undefined {
    if (key === this.#said) return undefined;
    this.#said = key;
    return word;
  }
}

export type Watch = {
  /** Asks every node once. */
  ask(): void;
  close(): void;
};

/** @param onWord called when a node says something else than before, and for its first word */
export function createWatch(
  nodes: LoadSpec["watch"],
  question: Question,
  rng: Rng,
  onWord: (node: string, word: Word) => void,
): Watch {
  const watched = nodes.map(({ node, at }) => ({
    node,
    asker: createDnsAsker(at, question, rng, 1),
    word: new NodeWord(),
  }));
  let sequence = 0;
  return {
    ask() {
      sequence++;
      const mine = sequence;
      for (const { node, asker, word } of watched) {
        void asker.ask(PATIENCE_MS).then((said) => {
          const changed = word.note(mine, typeof said === "string" ? undefined : said);
          if (changed !== undefined) onWord(node, changed);
        });
      }
    },
    close() {
      for (const { asker } of watched) asker.close();
    },
  };
}
