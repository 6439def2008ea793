/** Drivers that the tests of the whole way run over. */
import type { TcpDriver } from "#net/driver.ts";
import { createNetDriver } from "#net/node/driver.ts";
import { createTurningDriver, skip } from "./epoll/loop.ts";

export const DRIVERS: Readonly<Record<string, () => TcpDriver>> = {
  net: createNetDriver,
  ...(skip === false ? { epoll: () => createTurningDriver() } : {}),
};
