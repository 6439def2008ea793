/**
 * PROXY protocol version 1: one line of text, such as `PROXY TCP4 192.0.2.7 198.51.100.1 50123 443` CR LF.
 *
 * Rule:    strict, as section 2.1 asks: one space between fields, addresses of the family that is named, ports without
 *          leading zeros. UNKNOWN may be followed by anything up to CR LF, which is ignored.
 * @module
 */
import { formatIp, parseIpv4, parseIpv6 } from "#base/ip.ts";
import {
  MAX_V1_OCTETS,
  NO_TLVS,
  type ProxyAddress,
  type ProxyHeader,
  type ProxyParse,
} from "#pool/proxy-protocol/header.ts";

const PREFIX = "PROXY ";
const CR = 0x0d;
const LF = 0x0a;
const bad = (says: string): ProxyParse => ({ kind: "bad", says });

/** @param octets one at least */
export function parseV1(octets: Uint8Array): ProxyParse {
  for (let at = 0; at < Math.min(PREFIX.length, octets.length); at++)
    if (octets[at] !== PREFIX.charCodeAt(at)) return bad("it does not begin with PROXY and a space");
  let end = 0;
  while (end < octets.length && octets[end] !== CR) {
    if (octets[end] === LF) return bad("its line ends without a carriage return");
    if (++end > MAX_V1_OCTETS - 2) return bad(`its line is longer than ${MAX_V1_OCTETS} octets`);
  }
  if (end + 1 >= octets.length) return { kind: "more" };
  if (octets[end + 1] !== LF) return bad("its carriage return is not followed by a line feed");
  return parseLine(Buffer.from(octets.subarray(PREFIX.length, end)).toString("latin1"), end + 2);
}

function parseLine(line: string, length: number): ProxyParse {
  const fields = line.split(" ");
  const header: ProxyHeader = {
    kind: "header",
    length,
    version: 1,
    command: "local",
    transport: "stream",
    source: undefined,
    destination: undefined,
    tlvs: NO_TLVS,
  };
  if (fields[0] === "UNKNOWN") return header;
  const parseAddress = fields[0] === "TCP4" ? parseIpv4 : fields[0] === "TCP6" ? parseIpv6 : undefined;
  if (!parseAddress) return bad("its protocol is none of TCP4, TCP6 and UNKNOWN");
  if (fields.length !== 5) return bad("its line has not two addresses and two ports");
  const addresses = [parseAddress(fields[1]!), parseAddress(fields[2]!)] as const;
  const ports = [parsePort(fields[3]!), parsePort(fields[4]!)] as const;
  if (!addresses[0] || !addresses[1]) return bad(`its addresses are not both of ${fields[0]}`);
  if (ports[0] === undefined || ports[1] === undefined) return bad("its ports are not numbers up to 65535");
  return {
    ...header,
    command: "proxy",
    source: { address: formatIp(addresses[0]), port: ports[0] },
    destination: { address: formatIp(addresses[1]), port: ports[1] },
  };
}

function parsePort(text: string): number | undefined {
  if (!/^(0|[1-9][0-9]{0,4})$/.test(text)) return undefined;
  const port = Number(text);
  return port <= 65_535 ? port : undefined;
}

/** @param source with `destination`: of the same family; undefined: UNKNOWN */
export function writeV1(source: ProxyAddress | undefined, destination: ProxyAddress | undefined): Uint8Array {
  if (!source || !destination) return Buffer.from("PROXY UNKNOWN\r\n", "latin1");
  const family = source.address.includes(":") ? "TCP6" : "TCP4";
  const fields = [family, source.address, destination.address, source.port, destination.port];
  return Buffer.from(`${PREFIX}${fields.join(" ")}\r\n`, "latin1");
}
