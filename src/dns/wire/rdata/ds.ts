/** DS (RFC 4034 §5), CDS (RFC 7344 §3.1; deletion: RFC 8078 §4), DLV (RFC 4431). @module */
import { DNSSEC_ALGORITHM, DS_DIGEST_OCTETS } from "#dns/wire/rdata/mnemonics.ts";
import type { RdataType } from "#dns/wire/rdata/rdata-type.ts";

export const ds: RdataType = {
  example: "60485 13 2 d4b7d520e7bb5f0f67674a0cceb1e3e0614b93c4f9e99b8383f6a1e4469da50a",
  parse(from) {
    from.u16("key tag");
    from.putU8(from.choice("algorithm", DNSSEC_ALGORITHM, 255));
    const digestType = from.u8("digest type");
    from.hexRest("digest");
    const problem = digestProblem(digestType, from.octetCount - 4);
    if (problem) from.fail(problem, "Copy the whole digest");
  },
  format(from) {
    const keyTag = from.u16("key tag");
    const algorithm = from.u8("algorithm");
    const digestType = from.u8("digest type");
    const digest = from.rest("digest", 1);
    const problem = digestProblem(digestType, digest.length);
    if (problem) from.fail(problem, "Copy the whole digest");
    return `${keyTag} ${algorithm} ${digestType} ${digest.toHex()}`;
  },
};

function digestProblem(digestType: number, octets: number): string | undefined {
  const expected = DS_DIGEST_OCTETS[digestType];
  if (expected === undefined || octets === expected) return undefined;
  return `A digest of type ${digestType} has ${expected} octets, this one ${octets}`;
}
