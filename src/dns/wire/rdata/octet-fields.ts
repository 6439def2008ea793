/**
 * Types of a few small numbers and then octets in hex: TLSA (RFC 6698 §2), SMIMEA (RFC 8162 §2), SSHFP (RFC 4255 §3),
 * ZONEMD (RFC 8976 §2).
 * @module
 */
import type { RdataType } from "#dns/wire/rdata/rdata-type.ts";

type NumberField = readonly ["u8" | "u32", string];

/** `digestOctets`: octets that the digest must have, by the number in field `by`. */
const octetFields = (
  fields: readonly NumberField[],
  data: string,
  example: string,
  by: number,
  digestOctets: Readonly<Record<number, number>>,
): RdataType => {
  const digestProblem = (number: number, octets: number): string | undefined => {
    const expected = digestOctets[number];
    if (expected === undefined || expected === octets) return undefined;
    return `A ${data} with ${fields[by]![1]} ${number} has ${expected} octets, this one ${octets}`;
  };
  return {
    example,
    parse(from) {
      const numbers = fields.map(([width, field]) => from[width](field));
      const before = from.octetCount;
      from.hexRest(data);
      const problem = digestProblem(numbers[by]!, from.octetCount - before);
      if (problem) from.fail(problem, `Copy the whole ${data}`);
    },
    format(from) {
      const numbers = fields.map(([width, field]) => from[width](field));
      const octets = from.rest(data, 1);
      const problem = digestProblem(numbers[by]!, octets.length);
      if (problem) from.fail(problem, `Copy the whole ${data}`);
      return `${numbers.join(" ")} ${octets.toHex()}`;
    },
  };
};

export const tlsa = octetFields(
  [
    ["u8", "certificate usage"],
    ["u8", "selector"],
    ["u8", "matching type"],
  ],
  "certificate association data",
  "3 1 1 d2abde240d7cd3ee6b4b28c54df034b97983a1d16e8a410e4561cb106618e971",
  2,
  { 1: 32, 2: 64 },
);

export const sshfp = octetFields(
  [
    ["u8", "algorithm"],
    ["u8", "fingerprint type"],
  ],
  "fingerprint",
  "4 2 123456789abcdef67890123456789abcdef67890123456789abcdef123456789",
  1,
  { 1: 20, 2: 32 },
);

export const zonemd = octetFields(
  [
    ["u32", "serial"],
    ["u8", "scheme"],
    ["u8", "hash algorithm"],
  ],
  "digest",
  `2026072601 1 1 ${"c68090d90a7aed716bc459f9340e3d7c".repeat(3)}`,
  2,
  { 1: 48, 2: 64 },
);
