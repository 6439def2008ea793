/**
 * The relays of a stage: every way between two places leads through one, which delays, loses, cuts or refuses.
 *
 * Owns:    the sockets of all links. `relay-process.ts` runs it in a process of its own, so that what it carries does not
 *          wait for the runner, nor the runner for it.
 * @module
 */
import type { Clock } from "#base/clock.ts";
import type { Rng } from "#base/rng.ts";
import type { LinkSpec, LinkState } from "#drill/stage/link.ts";
import { type Carrier, carryTcp } from "#drill/stage/relay-tcp.ts";
import { carryUdp } from "#drill/stage/relay-udp.ts";

export type Relay = {
  /** Resolves when all of them listen. @throws what the system says of an address that cannot be had */
  open(links: readonly LinkSpec[]): Promise<void>;
  /** Changes some of what is so of each of these links. */
  change(ids: readonly string[], change: Partial<LinkState>): void;
  close(): Promise<void>;
};

export function createRelay({ clock, rng }: { readonly clock: Clock; readonly rng: Rng }): Relay {
  const links = new Map<string, { state: LinkState; readonly carriers: readonly Carrier[] }>();
  return {
    async open(specs) {
      await Promise.all(
        specs.map(async (spec) => {
          const carriers = await Promise.all(
            spec.protocols.map((protocol) => (protocol === "tcp" ? carryTcp : carryUdp)({ spec, clock, rng })),
          );
          links.set(spec.id, { state: spec.state, carriers });
        }),
      );
    },
    change(ids, change) {
      for (const id of ids) {
        const link = links.get(id);
        if (!link) continue;
        link.state = { ...link.state, ...change };
        for (const carrier of link.carriers) carrier.apply(link.state);
      }
    },
    async close() {
      await Promise.all([...links.values()].flatMap(({ carriers }) => carriers.map((carrier) => carrier.close())));
      links.clear();
    },
  };
}
