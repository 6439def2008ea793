/**
 * Which driver relays plain TCP, and which ends TLS: chosen once, at start.
 * @module
 */
import { RhumbError } from "#base/errors.ts";
import { loadEpoll } from "#net/epoll/load.ts";
import { loadOpenssl } from "#net/epoll/tls/openssl.ts";

export type TcpEngineName = "epoll" | "net";
type Choice = { readonly name: TcpEngineName; readonly why: string };
export type TcpEngine = Choice & { readonly tls: Choice };

/** @throws RhumbError RHUMB_BALANCER_ENGINE when `epoll` is asked for and this machine cannot */
export function chooseTcpEngine(wanted: "auto" | TcpEngineName): TcpEngine {
  if (wanted === "net") return both({ name: "net", why: "configured" });
  const loaded = loadEpoll();
  if (typeof loaded === "string") {
    if (wanted === "epoll") throw new RhumbError("RHUMB_BALANCER_ENGINE", loaded);
    return both({ name: "net", why: loaded });
  }
  const plain: Choice = { name: "epoll", why: wanted === "auto" ? "this machine has it" : "configured" };
  const openssl = loadOpenssl();
  return typeof openssl === "string" ? { ...plain, tls: { name: "net", why: openssl } } : both(plain);
}
const both = (choice: Choice): TcpEngine => ({ ...choice, tls: choice });
