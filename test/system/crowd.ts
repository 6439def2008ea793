/**
 * Clients as a region meets them: each asks one of the nodes, keeps the answer for its TTL as its resolver would, and sends its
 * requests to the address that it got. So what nodes answer comes back to them as load, late.
 *
 * Every answer is judged by what was allowed when its question left: one address, and that of a region that may be given.
 */
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { Agent, request } from "node:http";
import type { TestContext } from "node:test";
import dns2 from "dns2";
import { createSeededRng } from "#base/rng.ts";
import { OPTION } from "#dns/wire/edns.ts";
import { ecsData, encodeQuery } from "#dns/wire/encode-query.ts";
import { parseName } from "#dns/wire/name.ts";
import { TYPE } from "#dns/wire/types.ts";

const TICK_MS = 20;
/** A question that nobody answers for so long is asked again. */
const PATIENCE_MS = 1_000;

export type Crowd = {
  /** Requests per second, of all clients together, from now on. */
  setRate(rps: number): void;
  /** Questions from now on may be answered with one of these. */
  allow(addresses: readonly string[]): void;
  /** Answers of the last seconds: by node, then by address, in parts of 1. */
  shares(overMs: number): ReadonlyMap<string, ReadonlyMap<string, number>>;
  answers(): number;
  /** What was answered otherwise, by whom. */
  readonly wrong: readonly string[];
  /** Requests that were answered with 200, and the others, by address. */
  requests(): ReadonlyMap<string, { readonly served: number; readonly failed: number }>;
};

type Client = { readonly network: Uint8Array; address: string | undefined; untilMs: number; askedAtMs: number };
type Asked = { readonly client: Client; readonly allowed: ReadonlySet<string> };

export async function startCrowd(
  context: Pick<TestContext, "after">,
  options: {
    readonly nodes: readonly { readonly name: string; readonly port: number }[];
    readonly name: string;
    /** Each in a /24 of its own, at most 65,536. */
    readonly clients: number;
    readonly httpPort: number;
  },
): Promise<Crowd> {
  const name = parseName(options.name) as Uint8Array;
  const rng = createSeededRng(20);
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  const wrong: string[] = [];
  const given: { readonly atMs: number; readonly node: string; readonly address: string }[] = [];
  const requests = new Map<string, { served: number; failed: number }>();
  const clients = Array.from(
    { length: options.clients },
    (_, number): Client => ({
      network: Uint8Array.from([198 - (number >> 16), 18 + (number >> 8), number & 0xff, 0]),
      address: undefined,
      untilMs: 0,
      askedAtMs: Number.NEGATIVE_INFINITY,
    }),
  );
  let allowed: ReadonlySet<string> = new Set();
  let rate = 0;

  const askers = await Promise.all(
    options.nodes.map(async (node) => {
      const socket = createSocket("udp4");
      socket.on("error", () => {}); // a node that is not there: its clients ask the next one
      socket.connect(node.port, "127.0.0.1");
      await once(socket, "connect");
      const waiting = new Map<number, Asked>();
      socket.on("message", (octets) => take(node.name, waiting, octets));
      return { socket, waiting };
    }),
  );

  function take(node: string, waiting: Map<number, Asked>, octets: Buffer): void {
    const { header, answers } = dns2.Packet.parse(octets);
    const asked = waiting.get(header.id);
    if (asked === undefined) return;
    waiting.delete(header.id);
    const found = answers.flatMap((answer) => ("address" in answer ? [answer] : []));
    const says = found.map(({ address }) => String(address)).join(" ") || `rcode ${header.rcode}, empty`;
    if (!asked.allowed.has(says)) wrong.push(`${node} said ${says}`);
    const nowMs = performance.now();
    given.push({ atMs: nowMs, node, address: says });
    const { client } = asked;
    if (found.length === 0) return;
    client.address = String(found[0]!.address);
    client.untilMs = nowMs + found[0]!.ttl * 1_000;
    visit(client.address);
  }

  let id = 0;
  function ask(client: Client): void {
    const { socket, waiting }: { socket: Socket; waiting: Map<number, Asked> } =
      askers[Math.floor(rng() * askers.length)]!;
    id = (id + 1) & 0xffff;
    waiting.set(id, { client, allowed });
    client.askedAtMs = performance.now();
    const ecs = { code: OPTION.CLIENT_SUBNET, data: ecsData(client.network, 24) };
    socket.send(encodeQuery(name, TYPE.A, { id, edns: { options: [ecs] } }));
  }

  function visit(address: string): void {
    const count = requests.get(address) ?? { served: 0, failed: 0 };
    requests.set(address, count);
    const sent = request({ host: address, port: options.httpPort, path: "/", agent, timeout: 20_000 }, (response) => {
      if (response.statusCode === 200) count.served++;
      else count.failed++;
      response.resume();
    });
    sent.on("timeout", () => sent.destroy());
    sent.on("error", (error: NodeJS.ErrnoException) => {
      // A connection that was kept may end while the request is on its way: clients ask again, on another one.
      if (sent.reusedSocket && error.code === "ECONNRESET") visit(address);
      else count.failed++;
    });
    sent.end();
  }

  /** Requests that are due; of the time that a busy machine took a second is made up for. */
  let due = 0;
  let lastMs = performance.now();
  const timer = setInterval(() => {
    const nowMs = performance.now();
    due += (rate * Math.min(nowMs - lastMs, 1_000)) / 1_000;
    lastMs = nowMs;
    for (; due >= 1; due--) {
      const client = clients[Math.floor(rng() * clients.length)]!;
      if (client.address !== undefined && nowMs < client.untilMs) visit(client.address);
      else if (nowMs - client.askedAtMs > PATIENCE_MS || client.address !== undefined) ask(client);
    }
  }, TICK_MS);
  context.after(() => {
    clearInterval(timer);
    agent.destroy();
    for (const { socket } of askers) socket.close();
  });

  return {
    setRate(rps) {
      rate = rps;
    },
    allow(addresses) {
      allowed = new Set(addresses);
    },
    shares(overMs) {
      const fromMs = performance.now() - overMs;
      const counts = new Map(options.nodes.map((node) => [node.name, new Map<string, number>()]));
      for (const { node, address } of given.slice(given.findLastIndex(({ atMs }) => atMs < fromMs) + 1))
        counts.get(node)!.set(address, (counts.get(node)!.get(address) ?? 0) + 1);
      for (const byAddress of counts.values()) {
        const all = [...byAddress.values()].reduce((sum, count) => sum + count, 0);
        for (const [address, count] of byAddress) byAddress.set(address, count / all);
      }
      return counts;
    },
    answers: () => given.length,
    wrong,
    requests: () => requests,
  };
}
