/**
 * Whom to steer for: the client of a query as `Steering` wants it.
 * @module
 */
import type { SteerClient } from "#dns/answer/steering.ts";
import { ECS_FAMILY } from "#dns/wire/edns.ts";
import type { Client } from "#state/respond.ts";

/** Where the address of an ECS option is laid out in full. One query at a time per thread. */
const subnetAddress = new Uint8Array(16);

/**
 * By the ECS address if there is one to go by, else by where the query comes from (RFC 7871 §7.1.2).
 *
 * @param ecsAt offset in `message` of a valid ECS option's data, `ecsOctets` its octets; -1: there is none that counts
 */
export function fillSteerClient(
  steerClient: SteerClient,
  client: Client,
  message: Uint8Array,
  ecsAt: number,
  ecsOctets: number,
): void {
  steerClient.source = client.address;
  steerClient.isSourceIpv6 = client.isIpv6;
  steerClient.hasEcs = ecsAt >= 0;
  const bits = ecsAt >= 0 ? message[ecsAt + 2]! : 0;
  steerClient.ecsBits = bits;
  if (bits === 0) {
    steerClient.address = client.address;
    steerClient.isIpv6 = client.isIpv6;
    return;
  }
  const isIpv6 = message[ecsAt + 1] === ECS_FAMILY.ipv6;
  steerClient.address = subnetAddress;
  steerClient.isIpv6 = isIpv6;
  const given = ecsOctets - 4;
  const octets = isIpv6 ? 16 : 4;
  for (let index = 0; index < given; index++) subnetAddress[index] = message[ecsAt + 4 + index]!;
  for (let index = given; index < octets; index++) subnetAddress[index] = 0;
}
