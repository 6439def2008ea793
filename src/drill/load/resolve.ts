/**
 * A stub's question to its servers: each question begins with the next one, the next try goes to the one after.
 * @module
 */
import type { Rng } from "#base/rng.ts";
import { createDnsAsker } from "#drill/load/dns-ask.ts";
import type { DnsAnswer, Question } from "#drill/load/dns-question.ts";
import type { Endpoint } from "#drill/stage.ts";

const TRY_TIMEOUT_MS = 1_000;
const TRIES = 3;
/** Each with a port of its own, so that all workers of a server are asked. */
const PORTS_PER_SERVER = 8;
/** What these say holds; with any other rcode the next server is asked, as resolvers do (RFC 9520 §2). */
const DEFINITE = new Set(["NOERROR", "NXDOMAIN"]);

export type Resolver = {
  /** @param client number of who asks. @returns the answer; where no server gave a definite one, the last that was given; undefined: nobody answered */
  ask(client?: number): Promise<DnsAnswer | undefined>;
  close(): void;
};

export function createResolver(servers: readonly Endpoint[], question: Question, rng: Rng): Resolver {
  const askers = servers.map((server) => createDnsAsker(server, question, rng, PORTS_PER_SERVER));
  let turn = 0;
  return {
    async ask(client = 0) {
      const first = turn++;
      let last: DnsAnswer | undefined;
      for (let attempt = 0; attempt < TRIES && askers.length > 0; attempt++) {
        const said = await askers[(first + attempt) % askers.length]!.ask(TRY_TIMEOUT_MS, client);
        if (typeof said === "string") continue;
        last = said;
        if (DEFINITE.has(said.rcode)) return said;
      }
      return last;
    },
    close() {
      for (const asker of askers) asker.close();
    },
  };
}
