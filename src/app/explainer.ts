/**
 * Answers one question as the workers would, and says why: the same responder and the same steering, on the same doors,
 * with a recorder between them.
 *
 * Owns:    nothing that serves. One is made per snapshot; it keeps its own memo of compiled answers.
 * Never:   counts into the workers' slots, or passes the guard: nobody is limited for asking "why".
 * @module
 */
import type { DnsBundle } from "#app/dns-worker-protocol.ts";
import type { Cidr } from "#base/ip.ts";
import { createSteering } from "#dns/answer/steered.ts";
import type { SteerClient, Steering } from "#dns/answer/steering.ts";
import { OPEN_GUARD } from "#dns/guard/open-guard.ts";
import { createResponder } from "#dns/respond.ts";
import { type DecodedMessage, decodeMessage } from "#dns/wire/decode-message.ts";
import { MAX_TCP_MESSAGE_OCTETS, OPTION } from "#dns/wire/edns.ts";
import { ecsData, encodeQuery } from "#dns/wire/encode-query.ts";
import type { ClientMap, RttMap } from "#state/client-map.ts";
import { createCounterSlots, DNS_COUNTERS } from "#state/counters.ts";
import { createClient, TRANSPORT } from "#state/respond.ts";
import type { Explanation } from "#steer/explain.ts";

export type ExplainQuestion = {
  /** Uncompressed wire name. */
  readonly name: Uint8Array;
  readonly type: number;
  /** The source address: 4 or 16 octets. */
  readonly source: Uint8Array;
  /** The client subnet option; undefined: the query has none. */
  readonly subnet: Cidr | undefined;
  readonly atMs: number;
};
export type Explained = {
  /** The whole response. */
  readonly octets: Uint8Array;
  readonly message: DecodedMessage;
  /** One per steered RRset that went into the response, in order. */
  readonly steered: readonly Explanation[];
};
export type Explainer = { ask(question: ExplainQuestion): Explained };

type Call = { readonly service: number; readonly qtype: 1 | 28; readonly client: SteerClient };

export function createExplainer(options: {
  readonly bundle: DnsBundle;
  readonly maps: readonly ClientMap[];
  readonly rtt: RttMap | undefined;
  readonly healthTable: Uint32Array;
  readonly spread?: Int32Array | undefined;
}): Explainer {
  const { dns, regions, services } = options.bundle;
  const counters = createCounterSlots(DNS_COUNTERS.length);
  const steering = createSteering({
    services,
    regions,
    healthTable: options.healthTable,
    maps: new Map(options.maps.map((map) => [map.mapId, map])),
    rttMap: options.rtt,
    hashPrefix: dns.hashPrefix,
    spread: options.spread,
    counters,
  });
  const nameOf = new Map(services.map(({ name }) => [steering.serviceNumber(name), name]));
  let calls: Call[] = [];
  const recorder: Steering = {
    ...steering,
    resolve(service, qtype, client, nowMs, into) {
      calls.push({ service, qtype: qtype as 1 | 28, client: { ...client, address: client.address.slice() } });
      steering.resolve(service, qtype, client, nowMs, into);
    },
  };
  let atMs = 0;
  const respond = createResponder({
    snapshot: dns,
    steering: recorder,
    guard: OPEN_GUARD,
    counters,
    clock: { nowMs: () => atMs },
  });
  const out = new Uint8Array(MAX_TCP_MESSAGE_OCTETS);

  return {
    ask(question) {
      const { subnet } = question;
      const data = subnet && ecsData(subnet.bytes, subnet.bits);
      const query = encodeQuery(question.name, question.type, {
        edns: { options: data ? [{ code: OPTION.CLIENT_SUBNET, data }] : [] },
      });
      const client = createClient();
      client.address.set(question.source);
      client.isIpv6 = question.source.length === 16;
      client.port = 53_000;
      client.transport = TRANSPORT.tcp;
      calls = [];
      atMs = question.atMs;
      const octets = out.slice(0, respond(query, query.length, client, out));
      const message = decodeMessage(octets);
      if (typeof message === "number") throw new Error(`our own response cannot be read (fault ${message})`);
      const steered = calls.flatMap(({ service, qtype, client: asked }) => {
        const name = nameOf.get(service);
        return name === undefined ? [] : (steering.explain(name, qtype, asked, question.atMs) ?? []);
      });
      return { octets, message, steered };
    },
  };
}
