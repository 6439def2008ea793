/**
 * Variants: the records of an answer, encoded once and copied for every client that gets it.
 *
 * Units:   octets.
 * @module
 */
import type { Candidates } from "#steer/candidate.ts";
import type { RegionState } from "#steer/region-state.ts";

/** Compressed owner (2), type (2), class (2), TTL (4), RDLENGTH (2), and the address (RFC 1035 §3.2.1, RFC 3596 §2.2). */
const STRIDE_A = 12 + 4;
const STRIDE_AAAA = 12 + 16;
const TYPE_A = 1;
const TYPE_AAAA = 28;
const CLASS_IN = 1;

/**
 * Records that one answer may hold, so that it fits 1,232 octets over UDP beside the longest question (12 + 259) and an
 * OPT record with cookie, subnet and identifier (about 120): 840 octets.
 */
const MAX_RECORDS_A = Math.floor(840 / STRIDE_A);
const MAX_RECORDS_AAAA = Math.floor(840 / STRIDE_AAAA);

export type AddressVariant = {
  readonly records: Uint8Array;
  readonly count: number;
  readonly stride: number;
  /** Number, in `Snapshot.regions`, of the region that the first record is of; -1 without records. */
  readonly region: number;
};

/**
 * @param kept regions in order of preference; the addresses of each stand in its configured order
 * @returns records with the TTL left zero at offset 6 of each; no more than fit over UDP, the best regions first
 */
export function encodeVariant(kept: Candidates, states: readonly RegionState[], qtype: 1 | 28): AddressVariant {
  const isV6 = qtype === TYPE_AAAA;
  const stride = isV6 ? STRIDE_AAAA : STRIDE_A;
  const addresses = kept
    .flatMap(({ index }) => (isV6 ? states[index]!.v6 : states[index]!.v4))
    .slice(0, isV6 ? MAX_RECORDS_AAAA : MAX_RECORDS_A);
  const records = new Uint8Array(addresses.length * stride);
  const view = new DataView(records.buffer);
  for (const [index, address] of addresses.entries()) {
    const at = index * stride;
    view.setUint16(at, 0xc00c);
    view.setUint16(at + 2, isV6 ? TYPE_AAAA : TYPE_A);
    view.setUint16(at + 4, CLASS_IN);
    view.setUint16(at + 10, address.length);
    records.set(address, at + 12);
  }
  const first = kept.find(({ index }) => (isV6 ? states[index]!.v6 : states[index]!.v4).length > 0);
  return { records, count: addresses.length, stride, region: first?.regionNumber ?? -1 };
}
