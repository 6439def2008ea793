/**
 * What the soak asks, in dnsperf's binary form: a 16-bit length and the message, one after the other.
 * @module
 */
import { writeFileSync } from "node:fs";
import { OPTION } from "#dns/wire/edns.ts";
import { ecsData, encodeQuery } from "#dns/wire/encode-query.ts";
import { parseName } from "#dns/wire/name.ts";
import { TYPE } from "#dns/wire/types.ts";
import { frame } from "../system/dns-load.ts";

export const NAMES = 1_000;
const QUERIES = 8_192;
const SUBNETS = [Uint8Array.of(198, 51, 100, 0), Uint8Array.of(203, 0, 113, 0), Uint8Array.of(192, 0, 2, 0)];

/** Static names, steered ones with and without a client subnet, and every sixteenth a name that is not there. */
export function writeQueries(file: string): void {
  const messages = Array.from({ length: QUERIES }, (_, index) => {
    const label = ["host", "www", "host", "spread"][index % 4]!;
    const isMissing = index % 16 === 0;
    const name = isMissing ? `no${index}` : label === "host" ? `host${index % NAMES}` : label;
    const subnet = SUBNETS[index % SUBNETS.length]!;
    const hasSubnet = label !== "host" && index % 8 !== 1;
    return encodeQuery(parseName(`${name}.x.example`) as Uint8Array, TYPE.A, {
      id: index,
      edns: hasSubnet ? { options: [{ code: OPTION.CLIENT_SUBNET, data: ecsData(subnet, 24) }] } : {},
    });
  });
  writeFileSync(file, Buffer.concat(messages.map(frame)));
}
