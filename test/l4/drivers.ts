/** Drivers that the tests of the whole way run over. */
import type { TcpDriver } from "#l4/tcp/driver.ts";
import { createNetDriver } from "#l4/tcp/net-driver.ts";
import { createTurningDriver, skip } from "./tcp/epoll.ts";

export const DRIVERS: Readonly<Record<string, () => TcpDriver>> = {
  net: createNetDriver,
  ...(skip === false ? { epoll: () => createTurningDriver() } : {}),
};
