/**
 * Questions → octets, for clients of ours and for tests.
 * @module
 */
import { CLASS } from "#dns/wire/classes.ts";
import { MAX_UDP_PAYLOAD_OCTETS } from "#dns/wire/edns.ts";
import { FLAGS } from "#dns/wire/header.ts";
import { TYPE } from "#dns/wire/types.ts";

export type QueryOptions = {
  readonly id?: number;
  readonly class?: number;
  readonly isRd?: boolean;
  /** Undefined: no OPT record. */
  readonly edns?: {
    readonly payloadOctets?: number;
    readonly version?: number;
    readonly isDo?: boolean;
    readonly options?: readonly { readonly code: number; readonly data: Uint8Array }[];
  };
};

/** @param name uncompressed wire name */
export function encodeQuery(name: Uint8Array, type: number, options: QueryOptions = {}): Uint8Array {
  const { id = 0, edns } = options;
  const flags = options.isRd ? FLAGS.rd : 0;
  const octets = [id >>> 8, id & 0xff, flags, 0, 0, 1, 0, 0, 0, 0, 0, edns ? 1 : 0, ...name];
  push16(octets, type);
  push16(octets, options.class ?? CLASS.IN);
  if (edns) {
    octets.push(0);
    push16(octets, TYPE.OPT);
    push16(octets, edns.payloadOctets ?? MAX_UDP_PAYLOAD_OCTETS);
    octets.push(0, edns.version ?? 0, edns.isDo ? 0x80 : 0, 0);
    const data: number[] = [];
    for (const option of edns.options ?? []) {
      push16(data, option.code);
      push16(data, option.data.length);
      data.push(...option.data);
    }
    push16(octets, data.length);
    octets.push(...data);
  }
  return Uint8Array.from(octets);
}

/**
 * An ECS option's data for a query (RFC 7871 §6).
 * @param address 4 or 16 octets
 */
export function ecsData(address: Uint8Array, prefixBits: number): Uint8Array {
  const used = address.slice(0, (prefixBits + 7) >>> 3);
  if ((prefixBits & 7) !== 0) used[used.length - 1]! &= 0xff << (8 - (prefixBits & 7));
  return Uint8Array.from([0, address.length === 4 ? 1 : 2, prefixBits, 0, ...used]);
}

function push16(octets: number[], value: number): void {
  octets.push(value >>> 8, value & 0xff);
}
