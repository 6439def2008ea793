/**
 * What an epoll worker leaves behind when its thread dies: nobody else knows its sockets, and the kernel keeps them open as
 * long as the process lives. Their peers would wait for ever.
 *
 * Owns:    nothing. The epoll set that the dead thread watched its sockets with is found by what it watches.
 * Never:   gives back memory and spare pipes of the dead; they are few, and nothing refers to them any more.
 * @module
 */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { loadEpoll } from "#net/epoll/load.ts";
import { createSockets } from "#net/epoll/system.ts";

/** @returns what the epoll set watches (proc(5), /proc/pid/fdinfo); undefined: the descriptor is none */
function watchedBy(descriptor: string): number[] | undefined {
  try {
    if (readlinkSync(`/proc/self/fd/${descriptor}`) !== "anon_inode:[eventpoll]") return undefined;
    const info = readFileSync(`/proc/self/fdinfo/${descriptor}`, "utf8");
    return Array.from(info.matchAll(/^tfd:\s*(\d+)/gm), ([, watched]) => Number(watched));
  } catch {
    return undefined; // it was closed meanwhile: not one of the dead
  }
}

/**
 * Resets all connections of a thread that is gone.
 * @param listening descriptors of listening sockets that it served, and no living thread does; they stay open
 * @returns sockets that were reset
 */
export function resetOrphans(listening: readonly number[]): number {
  const calls = loadEpoll();
  if (typeof calls === "string") return 0;
  const sockets = createSockets(calls);
  let count = 0;
  for (const descriptor of readdirSync("/proc/self/fd")) {
    const watched = watchedBy(descriptor);
    if (watched === undefined || !watched.some((one) => listening.includes(one))) continue;
    calls.close(Number(descriptor));
    for (const one of watched) {
      if (listening.includes(one)) continue;
      sockets.reset(one);
      count++;
    }
  }
  return count;
}
