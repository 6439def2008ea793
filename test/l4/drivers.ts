/** Drivers that the tests of the whole way run over. */
import { systemClock } from "#base/clock.ts";
import type { TcpDriver } from "#l4/tcp/driver.ts";
import { createEpollDriver } from "#l4/tcp/epoll/driver.ts";
import { loadEpoll } from "#l4/tcp/epoll/load.ts";
import { createNetDriver } from "#l4/tcp/net-driver.ts";

const calls = loadEpoll();
if (typeof calls === "string" && process.env["CI"]) throw new Error(calls); // elsewhere it may be missing

/** An epoll driver that takes its turns between those of the event loop, so that peers can live in the same thread. */
function createTurningEpollDriver(): TcpDriver {
  if (typeof calls === "string") throw new Error(calls);
  const driver = createEpollDriver({ calls, clock: systemClock });
  let isClosed = false;
  const turn = (): void => {
    if (isClosed) return;
    driver.turn(1);
    setImmediate(turn);
  };
  setImmediate(turn);
  return {
    ...driver,
    close() {
      isClosed = true;
      driver.close();
    },
  };
}

export const DRIVERS: Readonly<Record<string, () => TcpDriver>> = {
  net: createNetDriver,
  ...(typeof calls === "string" ? {} : { epoll: createTurningEpollDriver }),
};
