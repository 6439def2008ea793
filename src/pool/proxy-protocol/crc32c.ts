/**
 * CRC-32C (Castagnoli; RFC 3720 appendix B.4): reflected polynomial 0x82F63B78, as PP2_TYPE_CRC32C has it.
 * @module
 */
const TABLE = Uint32Array.from({ length: 256 }, (_, octet) => {
  let crc = octet;
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  return crc;
});

/** @param zeros the index of four octets that count as zeros: where the checksum itself stands; negative: none */
export function crc32c(octets: Uint8Array, zeros = -1): number {
  let crc = 0xffffffff;
  for (let at = 0; at < octets.length; at++) {
    const octet = zeros >= 0 && at >= zeros && at < zeros + 4 ? 0 : octets[at]!;
    crc = (crc >>> 8) ^ TABLE[(crc ^ octet) & 0xff]!;
  }
  return ~crc >>> 0;
}
