/**
 * One DNS message in, one out: composes guard → wire → answer into the synchronous `Respond` of a worker.
 *
 * Owns:    which messages get no response at all, the counters of queries and responses, and the last line of defence:
 *          whatever goes wrong in here is answered SERVFAIL and counted, and the next query is served.
 * Never:   knows sockets, awaits, or lets anything throw out.
 * @module
 */
import { createChoose } from "#dns/answer/choose.ts";
import { createDirect, DECLINED } from "#dns/answer/direct.ts";
import { beginDraft, createDraft, type Draft, refuseWith } from "#dns/answer/draft.ts";
import { createFill } from "#dns/answer/fill.ts";
import { createFind } from "#dns/answer/find.ts";
import { dropRecords, fit, responseLimit, writeHeader } from "#dns/answer/fit.ts";
import type { OptSettings } from "#dns/answer/opt.ts";
import { createScreen } from "#dns/answer/screen.ts";
import type { Steering } from "#dns/answer/steering.ts";
import { createZoneSet } from "#dns/answer/zone-set.ts";
import { FLAGS, HEADER, HEADER_OCTETS } from "#dns/wire/header.ts";
import { parseQuery } from "#dns/wire/query.ts";
import { RCODE } from "#dns/wire/rcodes.ts";
import { DNS_COUNTER, type DnsCounter, qtypeSlot } from "#state/counters.ts";
import { ADMIT, type Admit, type Guard, LIMIT, RESPONSE_KIND } from "#state/guard.ts";
import { type Client, type Respond, TRANSPORT } from "#state/respond.ts";
import type { DnsSnapshot } from "#state/snapshot.ts";

export type ResponderOptions = {
  readonly snapshot: Pick<DnsSnapshot, "zones" | "unloadableZones" | "nsid" | "chaos" | "ecs"> & {
    readonly tcp: Pick<DnsSnapshot["tcp"], "idleMs">;
  };
  readonly steering: Steering;
  readonly guard: Guard;
  /** This worker's block of `DNS_COUNTERS`. */
  readonly counters: Float64Array;
  readonly clock: { nowMs(): number };
  /** False: every answer is compiled anew. Slow; for comparing with. */
  readonly keepsTemplates?: boolean;
  /** False: every answer is made step by step. For comparing with. */
  readonly answersDirectly?: boolean;
};

/** Echo, daytime, chargen, time and kpasswd answer whatever they get: an error sent there could go to and fro. */
const QUIET_PORTS: ReadonlySet<number> = new Set([7, 13, 19, 37, 464]);

const RCODE_COUNTERS: Readonly<Record<number, DnsCounter>> = {
  [RCODE.NOERROR]: "rcode_noerror",
  [RCODE.FORMERR]: "rcode_formerr",
  [RCODE.SERVFAIL]: "rcode_servfail",
  [RCODE.NXDOMAIN]: "rcode_nxdomain",
  [RCODE.NOTIMP]: "rcode_notimp",
  [RCODE.REFUSED]: "rcode_refused",
  [RCODE.NOTAUTH]: "rcode_notauth",
  [RCODE.BADVERS]: "rcode_badvers",
  [RCODE.BADCOOKIE]: "rcode_badcookie",
};
/** Slot of each RCODE's counter; -1: not counted apart. */
const RCODE_SLOTS = Int32Array.from({ length: 24 }, (_, rcode) => {
  const counter = RCODE_COUNTERS[rcode];
  return counter === undefined ? -1 : DNS_COUNTER[counter];
});
const MS_PER_KEEPALIVE_UNIT = 100; // RFC 7828 §3.1

/**
 * A responder for one snapshot and one worker. A new snapshot gets a new responder; it compiles its answers as they are
 * asked for.
 *
 * @throws RhumbError RHUMB_DNS_MIXED_SEEDS
 */
export function createResponder(options: ResponderOptions): Respond {
  const { snapshot, steering, guard, counters, clock } = options;
  const zones = createZoneSet(snapshot.zones, snapshot.unloadableZones, steering);
  const choose = createChoose({ zones, steering, keepsTemplates: options.keepsTemplates ?? true });
  const screen = createScreen({ guard, ecs: snapshot.ecs, chaos: snapshot.chaos });
  const find = createFind(zones);
  const fill = createFill({ steering, choose });
  const optSettings: OptSettings = {
    guard,
    nsid: snapshot.nsid,
    keepaliveUnits: Math.min(0xffff, Math.floor(snapshot.tcp.idleMs / MS_PER_KEEPALIVE_UNIT)),
  };
  const draft = createDraft();
  const { answersDirectly = options.keepsTemplates ?? true } = options;
  const direct = createDirect({ zones, steering, guard, counters, ecs: snapshot.ecs });

  const handle: Respond = (request, length, client, out) => {
    const isUdp = client.transport === TRANSPORT.udp;
    if (isUdp && client.port === 0) return dropped(counters, DNS_COUNTER.dropped_port); // nowhere to send it
    if (length < HEADER_OCTETS) return dropped(counters, DNS_COUNTER.dropped_short);
    if ((request[HEADER.flags]! & FLAGS.qr) !== 0) return dropped(counters, DNS_COUNTER.dropped_response);
    const admitted = guard.admit(client);
    if (admitted === ADMIT.drop) return 0;

    const nowMs = clock.nowMs();
    // Mostly it is that of the query before: storing a young object into an old one each time costs more than asking.
    if (draft.nowMs !== nowMs) draft.nowMs = nowMs;
    draft.isCounted = false;
    draft.isSteered = false;
    draft.limit = undefined;
    if (answersDirectly && isUdp && admitted === ADMIT.allow) {
      const octets = direct(request, length, client, out, draft);
      if (octets !== DECLINED) return octets;
    }
    return answerStepwise(request, length, client, out, admitted);
  };

  function answerStepwise(
    request: Uint8Array,
    length: number,
    client: Client,
    out: Uint8Array,
    admitted: Admit,
  ): number {
    beginDraft(draft, request, length, client, out);
    draft.isRefusedByAccess = admitted === ADMIT.refuse;
    const { query } = draft;
    draft.isWellFormed = parseQuery(request, length, zones.seed, query);
    draft.hasQuestion = query.hasQuestion;
    draft.end = query.hasQuestion ? query.questionEnd : HEADER_OCTETS;
    draft.neededEnd = draft.end;
    draft.limitOctets = responseLimit(draft);
    if (!draft.isCounted) countQuery(counters, draft);

    screen(draft) || find(draft) || choose.step(draft) || fill(draft);
    fit(draft, optSettings);

    if (draft.isUdp) {
      if (draft.kind === RESPONSE_KIND.error && QUIET_PORTS.has(client.port)) {
        return dropped(counters, DNS_COUNTER.dropped_port);
      }
      const limit =
        draft.limit ?? guard.limit(client, draft.nameHash, draft.kind, draft.end, length, draft.cookie, draft.nowMs!);
      if (limit === LIMIT.drop) return 0;
      if (limit !== LIMIT.send) sendLess(draft, limit, optSettings);
    }
    countResponse(counters, draft);
    return draft.end;
  }

  return (request, length, client, out) => {
    draft.query.hasQuestion = false; // nothing of an earlier query goes into a response to this one
    try {
      return handle(request, length, client, out);
    } catch {
      counters[DNS_COUNTER.handler_faults]! += 1;
      return respondToFault(draft, request, length, client, out);
    }
  };
}

function dropped(counters: Float64Array, slot: number): number {
  counters[slot]! += 1;
  return 0;
}

function countQuery(counters: Float64Array, draft: Draft): void {
  const { query } = draft;
  counters[draft.isUdp ? DNS_COUNTER.queries_udp : DNS_COUNTER.queries_tcp]! += 1;
  if (draft.client.isIpv6) counters[DNS_COUNTER.queries_ipv6]! += 1;
  if (query.hasEdns) counters[DNS_COUNTER.queries_edns]! += 1;
  if (query.ecsAt >= 0) counters[DNS_COUNTER.queries_ecs]! += 1;
  counters[qtypeSlot(query.qtype)]! += 1;
}

function countResponse(counters: Float64Array, draft: Draft): void {
  const slot = RCODE_SLOTS[draft.rcode]!;
  if (slot >= 0) counters[slot]! += 1;
  if (draft.isTruncated) counters[DNS_COUNTER.truncated]! += 1;
  counters[DNS_COUNTER.response_octets]! += draft.end;
}

/** Over its limit: the client proves its address by TCP, or by the cookie that it is sent (RFC 7873 §5.2.3). */
function sendLess(draft: Draft, limit: number, optSettings: OptSettings): void {
  if (limit === LIMIT.badCookie) refuseWith(draft, RCODE.BADCOOKIE);
  else draft.isTruncated = true;
  dropRecords(draft);
  fit(draft, optSettings);
}

/** SERVFAIL with the question, made from as little as possible: it must not fail as well. */
function respondToFault(
  draft: Draft,
  request: Uint8Array,
  length: number,
  client: Parameters<Respond>[2],
  out: Uint8Array,
): number {
  if (length < HEADER_OCTETS || (client.transport === TRANSPORT.udp && QUIET_PORTS.has(client.port))) return 0;
  const hasQuestion = draft.query.hasQuestion;
  beginHeaderOnly(draft, request, out);
  draft.hasQuestion = hasQuestion;
  draft.rcode = RCODE.SERVFAIL;
  writeHeader(draft);
  return hasQuestion ? draft.query.questionEnd : HEADER_OCTETS;
}

function beginHeaderOnly(draft: Draft, request: Uint8Array, out: Uint8Array): void {
  draft.request = request;
  draft.out = out;
  draft.answerCount = 0;
  draft.authorityCount = 0;
  draft.additionalCount = 0;
  draft.isAuthoritative = false;
  draft.isTruncated = false;
}
