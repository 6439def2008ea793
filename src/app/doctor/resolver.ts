/**
 * The world's view of DNS, through a recursive resolver: the system's, or the one of `--resolver`.
 * @module
 */
import { Resolver } from "node:dns/promises";
import { endpointText, parseIp } from "#base/ip.ts";
import { wrongUse } from "#cli/command.ts";

export type Lookups = {
  /** Empty where there is none. @throws Error when the resolver cannot say */
  nameServers(name: string): Promise<string[]>;
  addresses(name: string): Promise<string[]>;
};

const TIMEOUT_MS = 2_000;
const TRIES = 2;
/** c-ares's words for "there is no such thing", as opposed to "I could not find out". */
const NOTHING = ["ENODATA", "ENOTFOUND"];

const lower = (name: string): string => `${name.toLowerCase().replace(/\.$/, "")}.`;

/** `192.0.2.1`, `192.0.2.1:5353`, `[2001:db8::1]:53` → as node:dns takes it. @throws RhumbError RHUMB_CLI_USAGE */
export function parseResolver(text: string): string {
  const match = /^(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+))(?::([0-9]{1,5}))?$/.exec(text);
  const address = match?.[1] ?? match?.[2] ?? text;
  const port = Number(match?.[3] ?? 53);
  if (!parseIp(address) || port < 1 || port > 65_535)
    return wrongUse(`--resolver ${text}: write ADDRESS or ADDRESS:PORT, such as 9.9.9.9 or [2620:fe::fe]:53`);
  return endpointText(address, port);
}

/** @param server as `parseResolver` gives it; undefined: the system's (resolv.conf(5)) */
export function createLookups(server: string | undefined): Lookups {
  const resolver = new Resolver({ timeout: TIMEOUT_MS, tries: TRIES });
  if (server !== undefined) resolver.setServers([server]);
  const orNothing = async (asked: Promise<string[]>): Promise<string[]> => {
    try {
      return await asked;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== undefined && NOTHING.includes(code)) return [];
      throw new Error(`the resolver ${resolver.getServers().join(", ")} says ${code ?? String(error)}`, {
        cause: error,
      });
    }
  };
  return {
    nameServers: async (name) => (await orNothing(resolver.resolveNs(name))).map(lower),
    async addresses(name) {
      const both = await Promise.all([orNothing(resolver.resolve4(name)), orNothing(resolver.resolve6(name))]);
      return both.flat();
    },
  };
}
