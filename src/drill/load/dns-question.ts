/**
 * The one question that clients of a drill ask, and what an answer to it says.
 * @module
 */
import { type Cidr, formatIp, parseCidr } from "#base/ip.ts";
import { CLASS } from "#dns/wire/classes.ts";
import { decodeMessage } from "#dns/wire/decode-message.ts";
import { OPTION } from "#dns/wire/edns.ts";
import { ecsData, encodeQuery } from "#dns/wire/encode-query.ts";
import { LOWER, parseName } from "#dns/wire/name.ts";
import { rcodeText } from "#dns/wire/rcodes.ts";
import { TYPE } from "#dns/wire/types.ts";

export type DnsAnswer = {
  /** `NOERROR`, `SERVFAIL`, … */
  readonly rcode: string;
  readonly isTruncated: boolean;
  /** In the order of the answer. */
  readonly addresses: readonly string[];
  /** The least of the answer's records, in seconds; 0 of none. */
  readonly ttlSeconds: number;
};

export type Question = {
  /** @param id 16 bits; `client`: number of who asks */
  encode(id: number, client?: number): Uint8Array;
  /** @returns undefined for what is not an answer to this question under this id, as resolvers do (RFC 5452 §9.1) */
  read(message: Uint8Array, id: number): DnsAnswer | undefined;
};

export type QuestionOptions = {
  readonly name: string;
  /**
   * CIDR of all clients; each tells its own /24 in it, or the whole where that is smaller, as client subnet (RFC 7871).
   * Undefined: a resolver stands between.
   */
  readonly subnet: string | undefined;
  readonly isRecursive: boolean;
};

const sameName = (a: Uint8Array, b: Uint8Array): boolean =>
  a.length === b.length && a.every((octet, at) => LOWER[octet] === LOWER[b[at]!]);

/** What a resolver tells of an IPv4 client (RFC 7871 §11.1). */
const CLIENT_BITS = 24;
/** Of one place: clients beyond share one. */
const MAX_NETWORKS = 256;

function networksOf(all: Cidr): readonly Cidr[] {
  const isWide = all.bytes.length === 4 && all.bits < CLIENT_BITS;
  if (!isWide) return [all];
  const first = Buffer.from(all.bytes).readUInt32BE(0);
  return Array.from({ length: Math.min(MAX_NETWORKS, 2 ** (CLIENT_BITS - all.bits)) }, (_, index) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(first + index * 2 ** (32 - CLIENT_BITS));
    return { bytes, bits: CLIENT_BITS };
  });
}

/** Type A, class IN. @returns undefined where the name or the network cannot be asked with */
export function createQuestion({ name: text, subnet, isRecursive }: QuestionOptions): Question | undefined {
  const name = parseName(text);
  const network = subnet === undefined ? undefined : parseCidr(subnet);
  if (typeof name === "number" || (subnet !== undefined && network === undefined)) return undefined;
  const templates = (network ? networksOf(network) : [undefined]).map((own) => {
    const options = own ? [{ code: OPTION.CLIENT_SUBNET, data: ecsData(own.bytes, own.bits) }] : [];
    return encodeQuery(name, TYPE.A, { isRd: isRecursive, edns: { options } });
  });
  return {
    encode(id, client = 0) {
      const query = templates[client % templates.length]!.slice();
      query[0] = id >>> 8;
      query[1] = id & 0xff;
      return query;
    },
    read(message, id) {
      const decoded = decodeMessage(message);
      if (typeof decoded === "number" || decoded.id !== id || !decoded.isResponse) return undefined;
      const [question] = decoded.questions;
      if (decoded.questions.length !== 1 || question === undefined) return undefined;
      if (question.type !== TYPE.A || question.class !== CLASS.IN || !sameName(question.name, name)) return undefined;
      const addresses = decoded.answer.filter(({ type, rdata }) => type === TYPE.A && rdata.length === 4);
      const ttls = decoded.answer.map(({ ttlSeconds }) => ttlSeconds);
      return {
        rcode: rcodeText(decoded.rcode),
        isTruncated: decoded.isTruncated,
        addresses: addresses.map(({ rdata }) => formatIp(rdata)),
        ttlSeconds: ttls.length === 0 ? 0 : Math.min(...ttls),
      };
    },
  };
}
