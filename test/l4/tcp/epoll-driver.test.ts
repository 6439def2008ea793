import { test } from "node:test";
import { systemClock } from "#base/clock.ts";
import { createEpollDriver, type EpollDriver } from "#l4/tcp/epoll/driver.ts";
import { loadEpoll } from "#l4/tcp/epoll/load.ts";
import { driverContract } from "./driver-contract.ts";

const calls = loadEpoll();
if (typeof calls === "string") test("epoll driver", { skip: calls }, () => {});
else {
  driverContract("epoll driver", () => {
    const driver = createEpollDriver({ calls, clock: systemClock });
    let isClosed = false;
    const pumpLoop = (): void => {
      driver.turn(1);
      if (!isClosed) setImmediate(pumpLoop);
    };
    setImmediate(pumpLoop);
    return {
      ...driver,
      close() {
        driver.close();
        isClosed = true;
      },
    } satisfies EpollDriver;
  });
}
