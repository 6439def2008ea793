/**
 * HTTP clients as they are: each resolves a name at one of the name servers, and keeps the answer for its TTL. One half keep
 * their connection for as long as the server lets them, whatever the DNS says since; the other half follow the DNS at once.
 * What fails is never tried again, but written down.
 */
import { Agent, type ClientRequest, get } from "node:http";
import type { TestContext } from "node:test";
import { askDns } from "#cli/dns-client.ts";
import { parseName } from "#dns/wire/name.ts";
import { TYPE } from "#dns/wire/types.ts";

export type Clients = {
  /** Answers so far, by who gave them: the body up to its last dash, as `us-east` of `us-east-1`. */
  counts(): Readonly<Record<string, number>>;
  /** What was not answered, or not with 200. */
  readonly lost: readonly string[];
  /** Addresses that answers of the DNS named since the last call. */
  given(): ReadonlySet<string>;
  stop(): Promise<void>;
};

export function startClients(
  context: Pick<TestContext, "after">,
  options: {
    readonly name: string;
    /** Of name servers on 127.0.0.1. */
    readonly dnsPorts: readonly number[];
    readonly webPort: number;
    readonly clients: number;
    readonly pauseMs: number;
  },
): Clients {
  const counts: Record<string, number> = {};
  const lost: string[] = [];
  let given = new Set<string>();
  let isOver = false;

  async function resolve(port: number): Promise<{ readonly address: string; readonly untilMs: number }> {
    const name = parseName(options.name) as Uint8Array;
    const asked = { address: "127.0.0.1", port, name, type: TYPE.A, isTcp: false, timeoutMs: 2_000 };
    const { response } = await askDns(asked);
    const [answer] = response.answer;
    if (answer === undefined) throw new Error(`${options.name} has no answer: ${response.rcode}`);
    given.add(answer.rdata);
    return { address: answer.rdata, untilMs: performance.now() + answer.ttlSeconds * 1_000 };
  }
  const fetchFrom = (address: string, agent: Agent): Promise<string> =>
    new Promise((done, fail) => {
      get({ host: address, port: options.webPort, agent, timeout: 5_000 }, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", fail);
        response.on("end", () => {
          if (response.statusCode === 200) done(Buffer.concat(chunks).toString().trim());
          else fail(new Error(`status ${response.statusCode}`));
        });
      })
        .on("timeout", function (this: ClientRequest) {
          this.destroy(new Error("no answer in 5 s"));
        })
        .on("error", fail);
    });

  async function live(number: number): Promise<void> {
    const port = options.dnsPorts[number % options.dnsPorts.length]!;
    const follows = number % 2 === 0;
    let agent = new Agent({ keepAlive: true, maxSockets: 1 });
    let at = await resolve(port);
    let connectedTo = at.address;
    while (!isOver) {
      if (performance.now() >= at.untilMs) at = await resolve(port);
      if (follows && connectedTo !== at.address) {
        agent.destroy();
        agent = new Agent({ keepAlive: true, maxSockets: 1 });
      }
      // It stays where it is connected, and goes where the DNS says when it has to connect anew.
      if (Object.keys(agent.freeSockets).length === 0) connectedTo = at.address;
      try {
        const who = (await fetchFrom(connectedTo, agent)).replace(/-\d+$/, "");
        counts[who] = (counts[who] ?? 0) + 1;
      } catch (error) {
        lost.push(`client ${number} at ${connectedTo}: ${(error as Error).message}`);
      }
      await new Promise((resume) => setTimeout(resume, options.pauseMs));
    }
    agent.destroy();
  }

  const living = Array.from({ length: options.clients }, (_, number) =>
    live(number).catch((error: Error) => void lost.push(`client ${number} has given up: ${error.message}`)),
  );
  const stop = async (): Promise<void> => {
    isOver = true;
    await Promise.all(living);
  };
  context.after(stop);
  return {
    counts: () => ({ ...counts }),
    lost,
    given() {
      const was = given;
      given = new Set();
      return was;
    },
    stop,
  };
}
