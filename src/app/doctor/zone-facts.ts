/**
 * What the zone files say of their own name servers.
 * @module
 */
import { canonicalName } from "#app/doctor/ask-parent.ts";
import { serialOfRdata } from "#app/doctor/ask-servers.ts";
import type { ConfigFiles } from "#config/files.ts";
import { formatName, parseName } from "#dns/wire/name.ts";
import { formatRdata } from "#dns/wire/rdata/table.ts";
import { TYPE } from "#dns/wire/types.ts";
import { parseZone } from "#dns/zone/parse.ts";

export type ZoneFacts = {
  readonly apex: Uint8Array;
  /** Lower-case, with the root dot. */
  readonly name: string;
  readonly serial: number;
  readonly nameServers: readonly string[];
};
export type ZonesFacts = {
  readonly zones: readonly ZoneFacts[];
  /** Addresses of a name of our zones; undefined: the name is in none of them. */
  addressesOf(name: string): readonly string[] | undefined;
};

/** @param files of a configuration that has passed `check` */
export function readZones(files: ConfigFiles): ZonesFacts {
  const addresses = new Map<string, string[]>();
  const zones = files.zones.map(({ file, text, origin }): ZoneFacts => {
    const apex = parseName(origin) as Uint8Array;
    const name = formatName(apex).toLowerCase();
    const { records } = parseZone(text, { file, origin: apex, include: files.include });
    const nameServers: string[] = [];
    let serial = 0;
    for (const { owner, type, rdata } of records) {
      if (type !== TYPE.NS && type !== TYPE.SOA && type !== TYPE.A && type !== TYPE.AAAA) continue;
      const ownerName = formatName(owner).toLowerCase();
      const value = formatRdata(type, rdata);
      if (type === TYPE.SOA) serial = serialOfRdata(value);
      else if (type === TYPE.NS) {
        if (ownerName === name) nameServers.push(canonicalName(value));
      } else addresses.set(ownerName, [...(addresses.get(ownerName) ?? []), value]);
    }
    return { apex, name, serial, nameServers: [...new Set(nameServers)] };
  });
  const isOurs = (name: string): boolean => zones.some((zone) => name === zone.name || name.endsWith(`.${zone.name}`));
  return { zones, addressesOf: (name) => (isOurs(name) ? (addresses.get(name) ?? []) : undefined) };
}
