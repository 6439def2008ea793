/**
 * Resource data of every RR type: one row a type. A type without a row is read and written as RFC 3597 says.
 *
 * Owns:   the table, and the four questions put to it: parse, format, check, where are names.
 * Never:  throws; problems come back with the token to blame.
 * @module
 */
import { a } from "#dns/wire/rdata/a.ts";
import { aaaa } from "#dns/wire/rdata/aaaa.ts";
import { apl } from "#dns/wire/rdata/apl.ts";
import { dhcid, openpgpkey } from "#dns/wire/rdata/base64-data.ts";
import { caa } from "#dns/wire/rdata/caa.ts";
import { cert } from "#dns/wire/rdata/cert.ts";
import { csync } from "#dns/wire/rdata/csync.ts";
import { dnskey } from "#dns/wire/rdata/dnskey.ts";
import { ds } from "#dns/wire/rdata/ds.ts";
import { dsync } from "#dns/wire/rdata/dsync.ts";
import { eui48, eui64 } from "#dns/wire/rdata/eui.ts";
import { l32, l64 } from "#dns/wire/rdata/ilnp.ts";
import { ipseckey } from "#dns/wire/rdata/ipseckey.ts";
import { loc } from "#dns/wire/rdata/loc.ts";
import { naptr } from "#dns/wire/rdata/naptr.ts";
import { nsec } from "#dns/wire/rdata/nsec.ts";
import { nsec3, nsec3param } from "#dns/wire/rdata/nsec3.ts";
import { sshfp, tlsa, zonemd } from "#dns/wire/rdata/octet-fields.ts";
import { afsdb, kx, lp, mx, rt } from "#dns/wire/rdata/preference-name.ts";
import type { RdataNames, RdataType } from "#dns/wire/rdata/rdata-type.ts";
import { rrsig } from "#dns/wire/rdata/rrsig.ts";
import { cname, dname, mailName, ns, ptr } from "#dns/wire/rdata/single-name.ts";
import { soa } from "#dns/wire/rdata/soa.ts";
import { srv } from "#dns/wire/rdata/srv.ts";
import { gpos, hinfo, isdn, x25 } from "#dns/wire/rdata/strings.ts";
import { svcb } from "#dns/wire/rdata/svcb.ts";
import { type RdataProblem, type RdataToken, TextReader } from "#dns/wire/rdata/text-reader.ts";
import { minfo, rp, talink } from "#dns/wire/rdata/two-names.ts";
import { txt } from "#dns/wire/rdata/txt.ts";
import { uri } from "#dns/wire/rdata/uri.ts";
import { type WireProblem, WireReader } from "#dns/wire/rdata/wire-reader.ts";
import { TYPE, typeText } from "#dns/wire/types.ts";

export const RDATA_TYPES: ReadonlyMap<number, RdataType> = new Map([
  [TYPE.A, a],
  [TYPE.NS, ns],
  [TYPE.MD, mailName],
  [TYPE.MF, mailName],
  [TYPE.CNAME, cname],
  [TYPE.SOA, soa],
  [TYPE.MB, mailName],
  [TYPE.MG, mailName],
  [TYPE.MR, mailName],
  [TYPE.PTR, ptr],
  [TYPE.HINFO, hinfo],
  [TYPE.MINFO, minfo],
  [TYPE.MX, mx],
  [TYPE.TXT, txt],
  [TYPE.RP, rp],
  [TYPE.AFSDB, afsdb],
  [TYPE.X25, x25],
  [TYPE.ISDN, isdn],
  [TYPE.RT, rt],
  [TYPE.SIG, rrsig],
  [TYPE.KEY, dnskey],
  [TYPE.GPOS, gpos],
  [TYPE.AAAA, aaaa],
  [TYPE.LOC, loc],
  [TYPE.SRV, srv],
  [TYPE.NAPTR, naptr],
  [TYPE.KX, kx],
  [TYPE.CERT, cert],
  [TYPE.DNAME, dname],
  [TYPE.APL, apl],
  [TYPE.DS, ds],
  [TYPE.SSHFP, sshfp],
  [TYPE.IPSECKEY, ipseckey],
  [TYPE.RRSIG, rrsig],
  [TYPE.NSEC, nsec],
  [TYPE.DNSKEY, dnskey],
  [TYPE.DHCID, dhcid],
  [TYPE.NSEC3, nsec3],
  [TYPE.NSEC3PARAM, nsec3param],
  [TYPE.TLSA, tlsa],
  [TYPE.SMIMEA, tlsa],
  [TYPE.TALINK, talink],
  [TYPE.CDS, ds],
  [TYPE.CDNSKEY, dnskey],
  [TYPE.OPENPGPKEY, openpgpkey],
  [TYPE.CSYNC, csync],
  [TYPE.ZONEMD, zonemd],
  [TYPE.SVCB, svcb],
  [TYPE.HTTPS, svcb],
  [TYPE.DSYNC, dsync],
  [TYPE.SPF, txt],
  [TYPE.NID, l64],
  [TYPE.L32, l32],
  [TYPE.L64, l64],
  [TYPE.LP, lp],
  [TYPE.EUI48, eui48],
  [TYPE.EUI64, eui64],
  [TYPE.URI, uri],
  [TYPE.CAA, caa],
  [TYPE.AVC, txt],
  [TYPE.DLV, ds],
]);

/**
 * Reads resource data from the tokens from `start` up to, without, `end`. The generic form `\# length hex` is taken for
 * every type and must then hold what the type holds (RFC 3597 §5).
 *
 * @param origin completes relative names; undefined: there is none yet
 * @returns uncompressed wire form, or the first problem
 */
export function parseRdata(
  type: number,
  tokens: readonly RdataToken[],
  start: number,
  end: number,
  origin: Uint8Array | undefined,
): Uint8Array | RdataProblem {
  const from = new TextReader(tokens, start, end, origin);
  const known = RDATA_TYPES.get(type);
  if (start < end && tokens[start]!.text === "\\#" && !tokens[start]!.isQuoted) parseGeneric(from, type);
  else if (known) known.parse(from);
  else from.fail(`${typeText(type)} has no text form here`, "Write \\# length hex (RFC 3597 §5)", start);
  if (from.hasMore()) {
    const extra = JSON.stringify(from.word("").slice(0, 40));
    from.fail(`${extra} is more than ${typeText(type)} takes`, "Remove it, or put text with blanks in quotes");
  }
  if (from.problem === undefined) return from.octets();
  if (!known) return from.problem;
  return { ...from.problem, fix: `${from.problem.fix}; ${typeText(type)} looks like: ${known.example}` };
}

function parseGeneric(from: TextReader, type: number): void {
  from.word("\\#");
  const octets = from.number("length", 0xffff);
  if (octets > 0 || from.hasMore()) from.hexRest("data");
  if (from.problem) return;
  if (from.octetCount !== octets) {
    from.fail(`\\# says ${octets} octets, and ${from.octetCount} follow`, "Make the length and the hex digits agree");
    return;
  }
  const problem = checkRdata(type, from.octets());
  if (problem) from.fail(`\\# holds bad ${typeText(type)} data: ${problem.says}`, problem.fix);
}

/** Text of resource data; `\# length hex` for unknown types and for octets that do not fit their type. */
export function formatRdata(type: number, rdata: Uint8Array): string {
  const known = RDATA_TYPES.get(type);
  if (known) {
    const from = new WireReader(rdata);
    const text = known.format(from);
    if (from.problem === undefined && from.left === 0) return text;
  }
  return rdata.length === 0 ? "\\# 0" : `\\# ${rdata.length} ${rdata.toHex()}`;
}

/** What is wrong with uncompressed resource data, or undefined. For octets that did not come through `parseRdata()`. */
export function checkRdata(type: number, rdata: Uint8Array): WireProblem | undefined {
  const known = RDATA_TYPES.get(type);
  if (!known) return undefined;
  const from = new WireReader(rdata);
  known.format(from);
  if (from.problem === undefined && from.left > 0) {
    from.fail(`${from.left} octets are more than ${typeText(type)} takes`, "Remove them");
  }
  return from.problem;
}

/** Where names stand in the type's resource data, and how they may be treated; undefined: nowhere. */
export const rdataNames = (type: number): RdataNames | undefined => RDATA_TYPES.get(type)?.names;

/** Octets before the first name in well-formed resource data; -1 when the type holds none. */
export function firstNameOffset(type: number, rdata: Uint8Array): number {
  const names = RDATA_TYPES.get(type)?.names;
  if (!names) return -1;
  return typeof names.at === "number" ? names.at : names.at(rdata);
}
