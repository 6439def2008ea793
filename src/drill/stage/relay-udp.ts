/**
 * Carries datagrams over a link: each source has a socket of its own towards the far end, so that answers find their way.
 * @module
 */
import { createSocket, type Socket } from "node:dgram";
import { createDelayLine } from "#drill/stage/delay-line.ts";
import type { Carrier, CarrierOptions } from "#drill/stage/relay-tcp.ts";

/** A source that says nothing for so long is forgotten: resolvers ask from a new port each time. */
const IDLE_MS = 5_000;
/** Sources at once; one more takes the place of the one that was silent longest. */
const MAX_SOURCES = 4_096;

type Source = { readonly socket: Socket; lastMs: number };

export async function carryUdp({ spec, clock, rng }: CarrierOptions): Promise<Carrier> {
  let state = spec.state;
  const there = createDelayLine(clock);
  const back = createDelayLine(clock);
  const near = createSocket("udp4");
  /** Silent longest first. */
  const sources = new Map<string, Source>();

  const forget = (name: string): void => {
    sources.get(name)?.socket.close();
    sources.delete(name);
  };
  const isLost = (): boolean => state.passage !== "open" || state.to === null || rng() < state.loss;

  function sourceOf(address: string, port: number): Source {
    const name = `${address} ${port}`;
    const known = sources.get(name);
    if (known) {
      sources.delete(name);
      sources.set(name, known);
      return known;
    }
    const [oldest] = sources.keys();
    if (sources.size >= MAX_SOURCES) forget(oldest!);
    const socket = createSocket("udp4");
    socket.on("error", () => {}); // the far end is not there: a datagram is lost
    socket.on("message", (datagram) => {
      if (isLost()) return;
      back.push(
        state.delayMs + state.answerDelayMs,
        () => state.passage === "open" && near.send(datagram, port, address),
      );
    });
    const made: Source = { socket, lastMs: clock.monotonicMs() };
    sources.set(name, made);
    return made;
  }

  near.on("message", (datagram, { address, port }) => {
    if (isLost()) return;
    const source = sourceOf(address, port);
    source.lastMs = clock.monotonicMs();
    there.push(state.delayMs, () => {
      const { to, passage } = state;
      const isThere = sources.get(`${address} ${port}`) === source;
      if (to !== null && passage === "open" && isThere) source.socket.send(datagram, to.port, to.address);
    });
  });
  const sweeping = setInterval(() => {
    for (const [name, { lastMs }] of sources) {
      if (clock.monotonicMs() - lastMs < IDLE_MS) break;
      forget(name);
    }
  }, IDLE_MS);

  const { promise: bound, resolve, reject } = Promise.withResolvers<void>();
  near.once("error", reject);
  near.bind({ address: spec.listen.address, port: spec.listen.port, exclusive: true }, resolve);
  await bound;
  near.on("error", () => {});
  return {
    apply(next) {
      state = next;
    },
    async close() {
      clearInterval(sweeping);
      there.clear();
      back.clear();
      for (const name of [...sources.keys()]) forget(name);
      const closed = new Promise<void>((done) => near.close(done));
      await closed;
    },
  };
}
