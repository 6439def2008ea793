/**
 * Chooses what carries records: Redis where there is one, else HTTP from node to node.
 * @module
 */
import type { Clock } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import type { Rng } from "#base/rng.ts";
import type { Connect } from "#cluster/engine.ts";
import { createPeerTransport } from "#cluster/peer-transport.ts";
import type { Transport, TransportHost } from "#cluster/transport.ts";
import type { RedisSpec } from "#state/cluster.ts";

type Tools = { readonly clock: Clock; readonly rng: Rng; readonly log: Log };

export const createConnect =
  (tools: Tools): Connect =>
  ({ redis, peers }, node, host) => {
    if (redis) return loadRedisTransport(redis, node, host, tools);
    const others = peers.filter(({ name }) => name !== node);
    return createPeerTransport({ peers: others, host, clock: tools.clock, rng: tools.rng });
  };

/** The client of Redis takes 20 MB: it is loaded where it is used, and until then there is no connection. */
function loadRedisTransport(spec: RedisSpec, node: string, host: TransportHost, tools: Tools): Transport {
  let transport: Transport | undefined;
  let isClosed = false;
  import("#cluster/redis-transport.ts").then(
    ({ createRedisTransport }) => {
      if (!isClosed) transport = createRedisTransport({ spec, node, host, ...tools });
    },
    (error) => tools.log.error({ error: String(error) }, "The client of Redis cannot be loaded: nothing is shared"),
  );
  return {
    changed: (entry) => transport?.changed(entry), // before that, the first round finds it
    signal: (text) => transport?.signal(text),
    isConnected: () => transport?.isConnected() ?? false,
    says: () => transport?.says() ?? "Connecting to Redis",
    octets: () => transport?.octets() ?? { sent: 0, received: 0 },
    close() {
      isClosed = true;
      transport?.close();
    },
  };
}
