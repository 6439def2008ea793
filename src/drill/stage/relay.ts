/**
 * The relays of a stage: every way between two places leads through one, which delays, loses, cuts or refuses.
 *
 * Owns:    the sockets of all links. `relay-process.ts` runs it in a process of its own, so that what it carries does not
 *          wait for the runner, nor the runner for it.
 * @module
 */
import type { Socket } from "node:net";
import type { Clock } from "#base/clock.ts";
import type { Rng } from "#base/rng.ts";
import type { LinkSpec, LinkState } from "#drill/stage/link.ts";
import { ownerOf } from "#drill/stage/owner.ts";
import { type Carrier, carryTcp, listenTcp, type TcpCarrier } from "#drill/stage/relay-tcp.ts";
import { carryUdp } from "#drill/stage/relay-udp.ts";

export type Relay = {
  /** Resolves when all of them listen. @throws what the system says of an address that cannot be had */
  open(links: readonly LinkSpec[]): Promise<void>;
  /** Changes some of what is so of each of these links. */
  change(ids: readonly string[], change: Partial<LinkState>): void;
  /** Links that are a process's own carry the connections of this pid from now on. */
  owns(name: string, pid: number): void;
  close(): Promise<void>;
};

const placeOf = ({ listen }: LinkSpec): string => `${listen.address}:${listen.port}`;

export function createRelay({ clock, rng }: { readonly clock: Clock; readonly rng: Rng }): Relay {
  const links = new Map<string, { state: LinkState; readonly carriers: readonly Carrier[] }>();
  const listeners: { close(): Promise<void> }[] = [];
  const pids = new Map<string, number>();

  /** Links of one place: whose connection it is decides; the first where nobody can tell. */
  async function listen(specs: readonly LinkSpec[], carriers: ReadonlyMap<LinkSpec, TcpCarrier>): Promise<void> {
    const [first] = specs;
    const far = first!.listen;
    const choose = ({ remoteAddress, remotePort }: Socket): LinkSpec => {
      if (specs.length === 1 || remoteAddress === undefined || remotePort === undefined) return first!;
      const owner = ownerOf({ address: remoteAddress, port: remotePort }, far, pids);
      return specs.find((spec) => spec.owner === owner) ?? first!;
    };
    listeners.push(await listenTcp(far, (near) => carriers.get(choose(near))!.accept(near)));
  }

  return {
    async open(specs) {
      const tcp = new Map<LinkSpec, TcpCarrier>();
      for (const spec of specs) if (spec.protocols.includes("tcp")) tcp.set(spec, carryTcp({ spec, clock, rng }));
      await Promise.all([...Map.groupBy(tcp.keys(), placeOf).values()].map((group) => listen(group, tcp)));
      await Promise.all(
        specs.map(async (spec) => {
          const carriers: Carrier[] = tcp.has(spec) ? [tcp.get(spec)!] : [];
          if (spec.protocols.includes("udp")) carriers.push(await carryUdp({ spec, clock, rng }));
          links.set(spec.id, { state: spec.state, carriers });
        }),
      );
    },
    owns: (name, pid) => void pids.set(name, pid),
    change(ids, change) {
      for (const id of ids) {
        const link = links.get(id);
        if (!link) continue;
        link.state = { ...link.state, ...change };
        for (const carrier of link.carriers) carrier.apply(link.state);
      }
    },
    async close() {
      const closing = listeners.map((listener) => listener.close());
      for (const { carriers } of links.values())
        for (const carrier of carriers) closing.push(Promise.resolve(carrier.close()));
      await Promise.all(closing);
      links.clear();
    },
  };
}
