/**
 * The pools of one nginx configuration: those of its upstreams, and those that a `proxy_pass` with an address makes.
 * What servers say of the way to their backends is kept by our pools.
 * @module
 */
import { compact, type Draft } from "#config/import/draft.ts";
import type { Directive } from "#config/import/nginx-read.ts";
import { poolOf } from "#config/import/nginx-upstream.ts";
import { type At, type Notes, quoted } from "#config/import/notes.ts";
import { type createNames, parseServerAddress } from "#config/import/words.ts";

export type Pools = {
  /**
   * @param target of a `proxy_pass`: an upstream's name, or an address @param settings of the server that asks
   * @returns the pool's name; undefined where the target cannot be told, which has been said
   */
  find(target: string, settings: Readonly<Record<string, unknown>>, at: At, isUdp?: boolean): string | undefined;
};

/** @param kind of the block that holds the upstreams: names of both are apart */
export function createPools(
  draft: Draft,
  names: ReturnType<typeof createNames>,
  block: readonly Directive[],
  kind: "http" | "stream",
  notes: Notes,
): Pools {
  const pools = new Map<string, string>();
  const settled = new Map<string, string>();
  const add = (key: string, wanted: string, value: Record<string, unknown>, at: At): string => {
    const name = names.fresh(wanted);
    pools.set(key, name);
    draft.balancer.pools.set(name, { value, at });
    return name;
  };
  for (const upstream of block.filter(({ name }) => name === "upstream")) {
    const [name = ""] = upstream.args;
    if (pools.has(name))
      notes.leftOut(upstream.at, `There is an upstream ${quoted(name)} already`, "Rename one of them");
    else add(name, name, poolOf(upstream, kind === "http" ? 80 : undefined, notes), upstream.at);
  }
  const checkNote = (name: string, at: At, isUdp: boolean): void => {
    if (draft.balancer.pools.get(name)?.value["check"] !== undefined) return;
    const here = isUdp
      ? `nor does rhumb probe ${quoted(name)}, which is reached over UDP`
      : `here ${quoted(name)} gets a TCP connection every 5s`;
    notes.changed(at, `nginx probes nothing by itself; ${here}`, "Write `check:` into the pool, or `check: none`");
  };
  return {
    find(target, settings, at, isUdp = false) {
      let name = pools.get(target);
      if (name === undefined) {
        const address = target.includes("$") ? undefined : parseServerAddress(target, kind === "http" ? 80 : undefined);
        if (address === undefined) {
          const says = target.includes("$")
            ? "A pool is not chosen by a variable"
            : "There is no such upstream, and it is no address";
          notes.leftOut(at, `${says}: ${quoted(target)}`, "Name an upstream, or an address and port");
          return undefined;
        }
        name = add(
          target,
          address.replace(/:\d+$/, ""),
          { algorithm: "weighted_round_robin", backends: [address] },
          at,
        );
      }
      const entry = draft.balancer.pools.get(name)!;
      const told = JSON.stringify(settings);
      const before = settled.get(name);
      if (before === undefined) {
        entry.value = compact({ ...entry.value, ...settings });
        checkNote(name, entry.at, isUdp);
        settled.set(name, told);
      } else if (before !== told && Object.keys(settings).length > 0)
        notes.changed(
          at,
          `What is said of the way to the backends is set for the pool ${quoted(name)} as a whole; its first server's is taken`,
          "Make a second pool",
        );
      return name;
    },
  };
}
