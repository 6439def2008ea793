/**
 * Epoll drivers for tests: each takes its turns between those of the event loop, so that peers can live in the same thread.
 * @module
 */
import { type Clock, systemClock } from "#base/clock.ts";
import { createEpollDriver, type EpollDriver } from "#net/epoll/driver.ts";
import { type EpollCalls, loadEpoll } from "#net/epoll/load.ts";
import { loadOpenssl, type OpensslCalls } from "#net/epoll/tls/openssl.ts";
import { withoutNative } from "../../base/native/native.ts";

export const skip = withoutNative;

/** Not where `skip` is. */
export function epollCalls(): EpollCalls {
  const calls = loadEpoll();
  if (typeof calls === "string") throw new Error(calls);
  return calls;
}

let openssl: OpensslCalls | undefined;
function opensslCalls(): OpensslCalls {
  const calls = openssl ?? loadOpenssl();
  if (typeof calls === "string") throw new Error(calls);
  openssl = calls;
  return calls;
}

/** @param over calls that are to behave otherwise */
export function createTurningDriver(over: Partial<EpollCalls> = {}, clock: Clock = systemClock): EpollDriver {
  const driver = createEpollDriver({ calls: { ...epollCalls(), ...over }, tls: opensslCalls(), clock });
  let isClosed = false;
  /** Turns without an event: peers live in this thread, so a wait for them is a wait for nothing. */
  let quiet = 0;
  setImmediate(function run() {
    quiet = driver.turn(quiet < 100 ? 0 : 1) > 0 ? 0 : quiet + 1;
    if (!isClosed) setImmediate(run);
  });
  return {
    ...driver,
    close() {
      isClosed = true;
      driver.close();
    },
  };
}
