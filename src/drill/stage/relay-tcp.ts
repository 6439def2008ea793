/**
 * Carries TCP connections over a link: each direction in order and late, half-closed and reset as its ends do it.
 *
 * A connection is accepted at once, because nothing in user space can wait with that; its first octets leave after the
 * round trip that a handshake takes. Where nobody listens at the far end, the near end is reset instead of refused.
 * @module
 */
import { connect, createServer, type Socket } from "node:net";
import type { Clock } from "#base/clock.ts";
import type { Rng } from "#base/rng.ts";
import { createDelayLine } from "#drill/stage/delay-line.ts";
import { type LinkSpec, type LinkState, REPEAT_MS } from "#drill/stage/link.ts";
import type { Endpoint } from "#drill/stage.ts";

/** Octets of one direction that are under way; then its sender waits, as for a window. */
const WINDOW_OCTETS = 1_048_576;

export type Carrier = { apply(state: LinkState): void; close(): void | Promise<void> };
export type TcpCarrier = Carrier & { accept(near: Socket): void };
export type CarrierOptions = { readonly spec: LinkSpec; readonly clock: Clock; readonly rng: Rng };

type Direction = { hold(): void; release(): void; clear(): void };

export function carryTcp({ spec, clock, rng }: CarrierOptions): TcpCarrier {
  let state = spec.state;
  const open = new Set<{ apply(): void; reset(): void }>();

  function accept(near: Socket): void {
    const lines: Direction[] = [];
    let far: Socket | undefined;
    const carry = (from: Socket, to: Socket, extraMs: () => number): void => {
      const line = createDelayLine(clock);
      lines.push(line);
      let onTheWay = 0;
      const delay = (): number => state.delayMs + extraMs() + (rng() < state.loss ? REPEAT_MS : 0);
      from.on("data", (octets: Buffer) => {
        onTheWay += octets.length;
        if (onTheWay > WINDOW_OCTETS) from.pause();
        const written = (): void => {
          onTheWay -= octets.length;
          if (from.isPaused() && onTheWay <= WINDOW_OCTETS) from.resume();
        };
        line.push(delay(), () => void to.write(octets, written));
      });
      from.on("end", () => line.push(delay(), () => to.end()));
      from.on("close", (hasFailed) => {
        if (hasFailed) line.push(delay(), () => to.resetAndDestroy());
      });
      if (state.passage === "cut") line.hold();
    };
    const handshake = createDelayLine(clock);
    lines.push(handshake);
    if (state.passage === "cut") handshake.hold();
    near.on("error", () => {});
    handshake.push(2 * state.delayMs + (rng() < state.loss ? REPEAT_MS : 0), () => {
      const { passage, to } = state;
      if (passage === "refusing" || to === null || near.destroyed) return connection.reset();
      far = connect({
        host: to.address,
        port: to.port,
        allowHalfOpen: true,
        noDelay: true,
      });
      far.on("error", () => {});
      carry(near, far, () => 0);
      carry(far, near, () => state.answerDelayMs);
      far.once("close", forgetWhenDone);
      near.resume();
    });

    const connection = {
      apply() {
        if (state.passage === "refusing") return connection.reset();
        for (const line of lines) {
          if (state.passage === "cut") line.hold();
          else line.release();
        }
      },
      reset() {
        for (const line of lines) line.clear();
        near.resetAndDestroy();
        far?.resetAndDestroy();
        open.delete(connection);
      },
    };
    const forgetWhenDone = (): void => {
      if (near.destroyed && (far?.destroyed ?? true)) open.delete(connection);
    };
    near.once("close", forgetWhenDone);
    open.add(connection);
  }

  return {
    accept,
    apply(next) {
      const isElsewhere = next.to?.address !== state.to?.address || next.to?.port !== state.to?.port;
      state = next;
      for (const connection of [...open]) {
        if (isElsewhere) connection.reset();
        else connection.apply();
      }
    },
    close() {
      for (const connection of [...open]) connection.reset();
    },
  };
}

/** Connections that the kernel keeps for us while we are busy. */
const BACKLOG = 512;

/** @throws what the system says of an address that cannot be had */
export function listenTcp(at: Endpoint, accept: (near: Socket) => void): Promise<{ close(): Promise<void> }> {
  const { promise, resolve, reject } = Promise.withResolvers<{ close(): Promise<void> }>();
  const server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, accept);
  server.once("error", reject);
  server.listen({ host: at.address, port: at.port, backlog: BACKLOG }, () =>
    resolve({ close: () => new Promise((done) => server.close(() => done())) }),
  );
  return promise;
}
