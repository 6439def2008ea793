/**
 * What clients do: look the name up, and make requests with what they know.
 *
 * A request goes to the first address of the answer; where that fails, to the next one, or, if there is only one, to what
 * asking again gives. Tries follow each other at once, as browsers do it.
 * @module
 */
import { endpointText } from "#base/ip.ts";
import type { DnsAnswer } from "#drill/load/dns-question.ts";
import { ClientAgent, isOk, type TryResult, tryHttp } from "#drill/load/http-try.ts";
import type { Ledger, OpenRequest } from "#drill/load/ledger.ts";
import { type KeptAnswer, keptAnswer, type Population, type StubClient } from "#drill/load/population.ts";
import type { LoadSpec } from "#drill/load/protocol.ts";
import type { Resolver } from "#drill/load/resolve.ts";

/** For one try, from connecting to the last octet. */
export const TRY_TIMEOUT_MS = 2_000;
/** Whoever waits for longer does not begin another try. */
const PATIENCE_MS = 5_000;
/** Beyond so many at once a request is lost as it begins: a place has only so many ports and so much memory. */
export const OPEN_MOST = 2_000;
/** Another try may do better; a proxy or a server that says so has not done anything (RFC 9110 §15.6.3 to §15.6.5). */
const RETRIED_STATUS = new Set([502, 503, 504]);

export type Clients = {
  /** Some client looks the name up; its cache answers if it can. */
  lookUp(): void;
  /** Some client makes a request that was due then. */
  request(dueMs: number): void;
  close(): void;
};

export type ClientsOptions = {
  readonly spec: LoadSpec;
  readonly population: Population;
  readonly resolver: Resolver;
  readonly ledger: Ledger;
  nowMs(): number;
  /** A request has come to its end. */
  onEnd(): void;
  /** Called with one sentence where requests were lost for want of room here. */
  onFull(says: string): void;
};

const mayTryAgain = (result: TryResult): boolean => result === "failed" || RETRIED_STATUS.has(result.status);

export function createClients(options: ClientsOptions): Clients {
  const { spec, population, resolver, ledger, nowMs, onEnd, onFull } = options;
  const asking = new Map<StubClient, Promise<KeptAnswer | undefined>>();
  const knows = (client: StubClient, address: string): boolean => client.answer?.addresses.includes(address) === true;
  const agent = new ClientAgent(spec.http.keepAlive, ({ client, address }) =>
    knows(population.clients[client]!, address),
  );
  const known = new Set(Object.values(spec.regions));
  let requests = 0;

  const regionOf = (address: string | undefined): string =>
    address === undefined ? "" : (spec.regions[address] ?? "");

  function keep(client: StubClient, { addresses, ttlSeconds }: DnsAnswer): KeptAnswer {
    const gotAtMs = nowMs();
    const before = client.answer?.addresses ?? [];
    client.answer = { addresses, gotAtMs, expiresAtMs: gotAtMs + ttlSeconds * 1_000 };
    for (const address of before) if (!addresses.includes(address)) agent.leave({ client: client.id, address });
    return client.answer;
  }

  async function question(client: StubClient): Promise<KeptAnswer | undefined> {
    const entry = ledger.question(nowMs());
    const answer = await resolver.ask(client.id);
    entry.end(answer && regionOf(answer.addresses[0]), nowMs());
    return answer && keep(client, answer);
  }
  /** Who asks already waits for the same answer. */
  function ask(client: StubClient): Promise<KeptAnswer | undefined> {
    const running = asking.get(client);
    if (running !== undefined) return running;
    const started = question(client).finally(() => asking.delete(client));
    asking.set(client, started);
    return started;
  }
  const look = async (client: StubClient): Promise<KeptAnswer | undefined> =>
    keptAnswer(client, nowMs()) ?? ask(client);

  /** @returns where the next try goes: an address that was not tried yet, if there is one */
  async function next(client: StubClient, tried: readonly string[]): Promise<string | undefined> {
    const isNew = (address: string): boolean => !tried.includes(address);
    const other = client.answer?.addresses.find(isNew);
    if (other !== undefined) return other;
    const answer = await (client.stretch > 1 ? look(client) : ask(client));
    return answer?.addresses.find(isNew) ?? answer?.addresses[0];
  }

  async function run(client: StubClient, dueMs: number, entry: OpenRequest): Promise<void> {
    const answer = await look(client);
    let address = answer?.addresses[0];
    if (answer === undefined || address === undefined) return entry.end("", "lost", nowMs());
    entry.sentBy(nowMs() - answer.gotAtMs);
    const tried: string[] = [];
    for (let attempt = 0; ; attempt++) {
      tried.push(address);
      const way = spec.place.ways[endpointText(address, spec.http.port)] ?? { address, port: spec.http.port };
      const owner = { client: client.id, address };
      const result = await tryHttp({ at: way, host: spec.name, timeoutMs: TRY_TIMEOUT_MS, agent, owner });
      const says = result === "failed" ? undefined : result.says;
      const region = says !== undefined && known.has(says) ? says : regionOf(address);
      if (isOk(result)) return entry.end(region, attempt === 0 ? "ok" : "retried", nowMs());
      const isOver = attempt >= spec.http.retries || nowMs() - dueMs > PATIENCE_MS || !mayTryAgain(result);
      const other = isOver ? undefined : await next(client, tried);
      if (other === undefined) return entry.end(region, "lost", nowMs());
      address = other;
    }
  }

  return {
    lookUp() {
      void look(population.pick());
    },
    request(dueMs) {
      const client = population.pick();
      const entry = ledger.request(dueMs, nowMs());
      if (requests >= OPEN_MOST) {
        entry.end(regionOf(client.answer?.addresses[0]), "lost", nowMs());
        onFull(`${OPEN_MOST} requests are under way: no room for more, they count as lost`);
        return;
      }
      requests++;
      void run(client, dueMs, entry).finally(() => {
        requests--;
        onEnd();
      });
    },
    close() {
      agent.destroy();
      resolver.close();
    },
  };
}
