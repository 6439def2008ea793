/**
 * The PROXY header that a backend gets before anything of the client.
 * @module
 */
import { randomBytes } from "node:crypto";
import type { TcpAddress } from "#net/driver.ts";
import { writeProxyHeader } from "#pool/proxy-protocol/codec.ts";
import type { ProxyOutSpec } from "#state/balancer.ts";

/** Names of connections: 8 random octets of the listener in this worker, then a count of 8 octets. */
export type UniqueIds = { next(): Uint8Array };

export function createUniqueIds(prefix: Uint8Array = randomBytes(8)): UniqueIds {
  let count = 0n;
  return {
    next() {
      const id = Buffer.alloc(prefix.length + 8);
      id.set(prefix);
      id.writeBigUInt64BE(++count, prefix.length);
      return id;
    },
  };
}

export function upstreamHead(
  { version, uniqueId, authority, crc32c }: ProxyOutSpec,
  client: {
    readonly source: TcpAddress;
    readonly destination: TcpAddress;
    /** By SNI, where TLS was seen. */
    readonly serverName: string | undefined;
  },
  ids: UniqueIds,
): Uint8Array {
  return writeProxyHeader({
    version,
    command: "proxy",
    source: client.source,
    destination: client.destination,
    crc32c,
    tlvs: {
      ...(uniqueId ? { uniqueId: ids.next() } : {}),
      ...(authority && client.serverName !== undefined ? { authority: client.serverName } : {}),
    },
  });
}
