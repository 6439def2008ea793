/**
 * Which driver relays plain TCP: chosen once, at start.
 * @module
 */
import { RhumbError } from "#base/errors.ts";
import { loadEpoll } from "#net/epoll/load.ts";

export type TcpEngineName = "epoll" | "net";
export type TcpEngine = { readonly name: TcpEngineName; readonly why: string };

/** @throws RhumbError RHUMB_BALANCER_ENGINE when `epoll` is asked for and this machine cannot */
export function chooseTcpEngine(wanted: "auto" | TcpEngineName): TcpEngine {
  if (wanted === "net") return { name: "net", why: "configured" };
  const loaded = loadEpoll();
  if (typeof loaded !== "string")
    return { name: "epoll", why: wanted === "auto" ? "this machine has it" : "configured" };
  if (wanted === "epoll") throw new RhumbError("RHUMB_BALANCER_ENGINE", loaded);
  return { name: "net", why: loaded };
}
