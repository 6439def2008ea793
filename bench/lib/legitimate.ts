/**
 * Clients that deserve an answer while a flood runs: resolvers that have been asking for a while, and ones that ask for
 * the first time. `node bench/lib/legitimate.ts PORT`; each line on stdin ends an interval and prints its counts.
 * @module
 */
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { createSeededRng } from "#base/rng.ts";
import { ZONE } from "./dns-world.ts";

const RESOLVERS = 20;
const NAMES_IN_USE = 50;
const QUERIES_PER_TICK = 5;
const TICK_MS = 10;
/** A resolver tries again after this long (Unbound: 376 ms at first, BIND: 800 ms); what comes later is of no use. */
const PATIENCE_MS = 1_000;

const port = Number(process.argv[2]);
const rng = createSeededRng(17);
type Tally = { asked: number; answered: number };
type Asked = { tally: Tally; atMs: number };
const query = (id: number, host: number): Buffer => {
  const labels = [`host${host}`, ...ZONE.split(".")].flatMap((text) => [text.length, ...Buffer.from(text)]);
  return Buffer.from([id >>> 8, id & 255, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, ...labels, 0, 0, 1, 0, 1]);
};

let familiar: Tally = { asked: 0, answered: 0 };
let fresh: Tally = { asked: 0, answered: 0 };
const open = async (address: string, hear: (response: Buffer) => void): Promise<Socket> => {
  const socket = createSocket({ type: "udp4", lookup: (name, _options, done) => done(null, name, 4) });
  socket.on("message", hear);
  const listening = once(socket, "listening"); // emitted before bind() returns, as no name has to be looked up
  socket.bind(0, address);
  await listening;
  return socket;
};

const resolvers = await Promise.all(
  Array.from({ length: RESOLVERS }, async (_, index) => {
    const waiting = new Map<number, Asked>();
    let id = 0;
    const socket = await open(`127.200.${index}.53`, (response) => {
      const asked = waiting.get(response.readUInt16BE());
      if (!asked || !waiting.delete(response.readUInt16BE())) return;
      const isAnswer = (response[3]! & 15) === 0 && (response[2]! & 2) === 0 && response[7]! > 0;
      if (isAnswer && performance.now() - asked.atMs <= PATIENCE_MS) asked.tally.answered++;
    });
    return () => {
      id = (id + 1) & 0xffff;
      waiting.set(id, { tally: familiar, atMs: performance.now() });
      familiar.asked++;
      socket.send(query(id, Math.floor(rng() * NAMES_IN_USE)), port, "127.0.0.1");
    };
  }),
);

/** Each from an address of its own, in a network that has not been seen. */
let stranger = 0;
async function askAsStranger(): Promise<void> {
  const number = stranger++;
  const tally = fresh;
  const asked = performance.now();
  const socket = await open(
    `127.${220 + ((number >>> 16) & 15)}.${(number >>> 8) & 255}.${number & 255}`,
    (response) => {
      if ((response[2]! & 2) === 0 && response[7]! > 0 && performance.now() - asked <= PATIENCE_MS) tally.answered++;
    },
  );
  tally.asked++;
  socket.send(query(number & 0xffff, number % NAMES_IN_USE), port, "127.0.0.1");
  setTimeout(() => socket.close(), PATIENCE_MS);
}

let turn = 0;
setInterval(() => {
  for (let index = 0; index < QUERIES_PER_TICK; index++) resolvers[turn++ % RESOLVERS]!();
  if (turn % (QUERIES_PER_TICK * 2) === 0) void askAsStranger();
}, TICK_MS);

for await (const _line of createInterface({ input: process.stdin })) {
  const ended = { familiar, fresh };
  familiar = { asked: 0, answered: 0 };
  fresh = { asked: 0, answered: 0 };
  // Answers to the last queries of the interval may still come.
  setTimeout(() => process.stdout.write(`${JSON.stringify(ended)}\n`), PATIENCE_MS);
}
process.exit(0);
