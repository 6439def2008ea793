/**
 * Records from node to node by HTTP, where there is no Redis: every node tells every other, and passes on what it knows.
 *
 * Traffic of a node, in octets a second, without HTTP's heads: to each other node Σ (key and stamp, some 70) over the live
 * records + Σ (records of its own that changed); as much comes back.
 * @module
 */
import type { Clock } from "#base/clock.ts";
import type { Rng } from "#base/rng.ts";
import { createPeerLink, type Post } from "#cluster/peer-link.ts";
import type { Transport, TransportHost } from "#cluster/transport.ts";
import type { PeerSpec } from "#state/snapshot.ts";

export function createPeerTransport(options: {
  readonly peers: readonly PeerSpec[];
  readonly host: TransportHost;
  readonly clock: Clock;
  readonly rng: Rng;
  /** How a peer is reached; by default HTTP. */
  readonly postTo?: (peer: PeerSpec) => Post;
}): Transport {
  const { peers, host, clock, rng, postTo } = options;
  const links = peers.map((peer) => ({
    name: peer.name,
    link: createPeerLink({ peer, host, clock, rng, ...(postTo ? { post: postTo(peer) } : {}) }),
  }));
  const away = () => links.filter(({ link }) => !link.isUp());
  return {
    changed({ id }) {
      for (const { link } of links) link.push(id);
    },
    signal(text) {
      for (const { link } of links) link.signal(text);
    },
    // One that is reached passes on what the others say.
    isConnected: () => away().length < links.length,
    says() {
      const silent = away().map(({ name, link }) => `${name} (${link.why()})`);
      return `Records go from node to node${silent.length === 0 ? "" : `; not reached: ${silent.join(", ")}`}`;
    },
    octets() {
      const sums = { sent: 0, received: 0 };
      for (const { link } of links) {
        sums.sent += link.octets().sent;
        sums.received += link.octets().received;
      }
      return sums;
    },
    close() {
      for (const { link } of links) link.close();
    },
  };
}
