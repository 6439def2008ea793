/**
 * A sample of the query log as people read it. What the question was, whom it came from and what was answered all stand
 * in the response, so the response alone is kept.
 *
 * Owns:    privacy: of a client's address, and of the one in its subnet option, no more leaves here than is to be kept.
 * @module
 */
import type { QueryView } from "#api/views.ts";
import { formatCidr, formatIp, maskIp } from "#base/ip.ts";
import { CLASS } from "#dns/wire/classes.ts";
import { type DecodedMessage, decodeMessage } from "#dns/wire/decode-message.ts";
import { ECS_FAMILY, OPTION } from "#dns/wire/edns.ts";
import { HEADER, HEADER_OCTETS, QUESTION_TAIL_OCTETS } from "#dns/wire/header.ts";
import { formatName, skipName } from "#dns/wire/name.ts";
import { rcodeText } from "#dns/wire/rcodes.ts";
import { TYPE, typeText } from "#dns/wire/types.ts";
import type { QuerySample } from "#state/query-ring.ts";
import { TRANSPORT } from "#state/respond.ts";
import type { RegionSpec } from "#state/snapshot.ts";

/** What is kept of a client's address under `privacy: prefix`, in bits: about what resolvers send as its subnet. */
const PREFIX_BITS = { v4: 24, v6: 48 } as const;
const DO_BIT = 0x8000; // of the TTL field of OPT (RFC 6891 §6.1.3)
const CLASS_TEXTS = new Map<number, string>(Object.entries(CLASS).map(([mnemonic, number]) => [number, mnemonic]));

export type SampleContext = {
  readonly privacy: "prefix" | "full";
  /** Region of each address that the configuration names. */
  readonly regionOf: ReadonlyMap<string, string>;
};

export const regionsByAddress = (regions: readonly RegionSpec[]): ReadonlyMap<string, string> =>
  new Map(regions.flatMap(({ id, v4, v6 }) => [...v4, ...v6].map((address) => [address, id] as const)));

/** @returns undefined for octets that are no response of ours: a sample that a dying worker left */
export function queryView(sample: QuerySample, { privacy, regionOf }: SampleContext): QueryView | undefined {
  const isCut = sample.message.length < sample.octets;
  const message = decodeMessage(isCut ? questionOnly(sample.message) : sample.message);
  if (typeof message === "number") return undefined;
  const question = message.questions[0];
  const addresses = message.answer
    .filter(({ type }) => type === TYPE.A || type === TYPE.AAAA)
    .map(({ rdata }) => formatIp(rdata));
  const regions = addresses.flatMap((address) => regionOf.get(address) ?? []);
  return {
    atMs: sample.atMs,
    name: question ? formatName(question.name) : null,
    type: question ? typeText(question.type) : null,
    class: question ? (CLASS_TEXTS.get(question.class) ?? `CLASS${question.class}`) : null,
    rcode: rcodeText(message.rcode),
    flags: flagsOf(message),
    transport: sample.transport === TRANSPORT.tcp ? "tcp" : "udp",
    client: clientText(sample.address, privacy),
    ecs: subnetOf(message, privacy),
    addresses,
    regions: [...new Set(regions)],
    octets: sample.octets,
    isCut,
  };
}

/** A copy of a message's header and question, so that the head of a long message can be read as a whole one. */
function questionOnly(message: Uint8Array): Uint8Array {
  const hasQuestion = message[HEADER.qdcount + 1] === 1;
  const nameEnd = hasQuestion ? skipName(message, HEADER_OCTETS) : HEADER_OCTETS - QUESTION_TAIL_OCTETS;
  const head = message.slice(0, Math.max(0, nameEnd) + QUESTION_TAIL_OCTETS);
  head.fill(0, HEADER.ancount, HEADER_OCTETS);
  return head;
}

function flagsOf(message: DecodedMessage): string[] {
  const { isAuthoritative, isTruncated, isRd, isCd, opt } = message;
  return Object.entries({
    aa: isAuthoritative,
    tc: isTruncated,
    rd: isRd,
    cd: isCd,
    do: opt !== undefined && (opt.ttlSeconds & DO_BIT) !== 0,
  }).flatMap(([name, isSet]) => (isSet ? [name] : []));
}

function clientText(address: Uint8Array, privacy: SampleContext["privacy"]): string {
  if (privacy === "full") return formatIp(address);
  const bits = address.length === 4 ? PREFIX_BITS.v4 : PREFIX_BITS.v6;
  return formatCidr({ bytes: maskIp(address, bits), bits });
}

/** The client subnet that the response echoes (RFC 7871 §7.2.1), and for which network it says that it holds. */
function subnetOf({ opt }: DecodedMessage, privacy: SampleContext["privacy"]): QueryView["ecs"] {
  if (!opt) return null;
  const { rdata } = opt;
  const view = new DataView(rdata.buffer, rdata.byteOffset, rdata.byteLength);
  for (let at = 0; at + 4 <= rdata.length; at += 4 + view.getUint16(at + 2)) {
    const end = at + 4 + view.getUint16(at + 2);
    if (view.getUint16(at) !== OPTION.CLIENT_SUBNET || end > rdata.length || end - at < 8) continue;
    const isIpv6 = view.getUint16(at + 4) === ECS_FAMILY.ipv6;
    const bytes = new Uint8Array(isIpv6 ? 16 : 4);
    bytes.set(rdata.subarray(at + 8, Math.min(end, at + 8 + bytes.length)));
    const most = privacy === "full" ? bytes.length * 8 : isIpv6 ? PREFIX_BITS.v6 : PREFIX_BITS.v4;
    const bits = Math.min(rdata[at + 6]!, most);
    return { network: formatCidr({ bytes: maskIp(bytes, bits), bits }), scopeBits: rdata[at + 7]! };
  }
  return null;
}
