/**
 * Contexts of the listeners of one worker, over all configurations.
 *
 * Owns:    which of them serve. A listener whose certificates, secrets and settings are the same keeps its own, with its
 *          sessions; what another one took the place of is given back.
 * @module
 */
import { isDeepStrictEqual } from "node:util";
import { contextsInput, type TlsMaterial } from "#app/balancer/tls-material.ts";
import type { ListenerSpec } from "#state/balancer.ts";
import { createTlsContexts, type TlsContexts } from "#tls/contexts.ts";
import type { SessionCache } from "#tls/session-cache.ts";

type Kept = { readonly input: ReturnType<typeof contextsInput>; readonly contexts: TlsContexts };

export type WorkerTls = {
  /** Of a configuration that is being taken over. @throws RhumbError RHUMB_BALANCER_CERTIFICATE */
  of(spec: ListenerSpec, material: TlsMaterial): TlsContexts;
  /** It was taken over. */
  keep(): void;
  /** It was refused: what served before goes on. */
  drop(): void;
};

export function createWorkerTls(worker: { readonly sessions: SessionCache; readonly nowMs: () => number }): WorkerTls {
  let serving = new Map<string, Kept>();
  let next = new Map<string, Kept>();
  /** Not to be used any more; a handshake may have begun with one all the same. */
  let left: TlsContexts[] = [];

  /** Goes on with `chosen`, and gives back those of `others` that it has not. */
  function goOn(chosen: Map<string, Kept>, others: Map<string, Kept>): void {
    const used = new Set([...chosen.values()].map(({ contexts }) => contexts));
    for (const { contexts } of others.values()) if (!used.has(contexts)) left.push(contexts);
    for (const contexts of left) contexts.release();
    serving = chosen;
    next = new Map();
  }

  return {
    of(spec, material) {
      const input = contextsInput(spec, material);
      const same = [next.get(spec.name), serving.get(spec.name)].find((kept) => isDeepStrictEqual(kept?.input, input));
      const kept = same ?? { input, contexts: createTlsContexts({ ...input, ...worker }) };
      next.set(spec.name, kept);
      return kept.contexts;
    },
    keep() {
      goOn(next, serving);
      left = [];
    },
    drop() {
      goOn(serving, next);
    },
  };
}
