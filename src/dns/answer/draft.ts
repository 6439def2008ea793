/**
 * The draft of one response: what the steps know of it so far. One object per worker, used again for each query.
 *
 * Owns:    the type, the verdict that steps share, and `runSteps`.
 * Writer:  each step writes the fields of its own section below; later steps read them.
 * @module
 */
import { emptyAnswer, type SteerClient, type SteeredAnswer } from "#dns/answer/steering.ts";
import type { Template } from "#dns/answer/template.ts";
import type { ServedZone } from "#dns/answer/zone-set.ts";
import { HEADER_OCTETS } from "#dns/wire/header.ts";
import { createQuery, type Query } from "#dns/wire/query.ts";
import { RCODE } from "#dns/wire/rcodes.ts";
import { createLookup, type Lookup } from "#dns/zone/lookup.ts";
import { COOKIE, type Cookie, type Limit, RESPONSE_KIND, type ResponseKind } from "#state/guard.ts";
import { type Client, createClient, TRANSPORT } from "#state/respond.ts";

/**
 * `continue`: the next step; `done`: the draft says all, the rest of the steps has nothing to add. A list of steps is
 * written `first(draft) || second(draft) || …`: it ends with the first that is done, and costs no indirect calls.
 */
export const VERDICT = { continue: 0, done: 1 } as const;
export type Verdict = (typeof VERDICT)[keyof typeof VERDICT];
export type Step = (draft: Draft) => Verdict;

/** No extended error (RFC 8914). */
export const NO_EDE = -1;

export type Draft = {
  // The request, and who sent it.
  request: Uint8Array;
  requestOctets: number;
  client: Client;
  /**
   * Unix time. Undefined before the first query, so that V8 keeps the pointer to the clock's number here: a field that
   * only ever held numbers is stored flat, and each call that is handed it would make a new object.
   */
  nowMs: number | undefined;
  isUdp: boolean;
  isRefusedByAccess: boolean;
  readonly query: Query;
  /** The parser took the message as a whole. */
  isWellFormed: boolean;
  cookie: Cookie;
  /** The query has a valid ECS option and we heed those (RFC 7871). */
  hasEcs: boolean;

  // find
  zone: ServedZone | undefined;
  readonly lookup: Lookup;

  // choose
  /** The answer, compiled; or `readyRrset`. */
  template: Template | undefined;
  /** RRset of the zone whose records in the image are the answer as they stand; -1: it is `template`. */
  readyRrset: number;

  // fill
  out: Uint8Array;
  /** Octets a response may have: transport, EDNS and `out` together. */
  limitOctets: number;
  end: number;
  answerCount: number;
  authorityCount: number;
  additionalCount: number;
  /** End and additional records of the response without what may be left out (sibling glue). */
  neededEnd: number;
  neededAdditional: number;

  // What the header and OPT say.
  rcode: number;
  isAuthoritative: boolean;
  isTruncated: boolean;
  /** The question goes into the response. */
  hasQuestion: boolean;
  ede: number;
  /** The response ends with a TSIG record that says BADKEY. */
  hasTsig: boolean;
  scopeBits: number;

  // What the guard counts.
  kind: ResponseKind;
  nameHash: number;

  // Done by `direct.ts` before it declined: not to be done again.
  isCounted: boolean;
  /** `steered` holds the answer of the name's own service. */
  isSteered: boolean;
  /** What the guard says of the response, once it was asked. */
  limit: Limit | undefined;

  readonly steerClient: SteerClient;
  readonly steered: SteeredAnswer;
};

const NOTHING = new Uint8Array(0);

export const createDraft = (): Draft => ({
  request: NOTHING,
  requestOctets: 0,
  client: createClient(),
  nowMs: undefined,
  isUdp: true,
  isRefusedByAccess: false,
  query: createQuery(),
  isWellFormed: false,
  cookie: COOKIE.ignored,
  hasEcs: false,
  zone: undefined,
  lookup: createLookup(),
  template: undefined,
  readyRrset: -1,
  out: NOTHING,
  limitOctets: 0,
  end: HEADER_OCTETS,
  answerCount: 0,
  authorityCount: 0,
  additionalCount: 0,
  neededEnd: HEADER_OCTETS,
  neededAdditional: 0,
  rcode: RCODE.NOERROR,
  isAuthoritative: false,
  isTruncated: false,
  hasQuestion: false,
  ede: NO_EDE,
  hasTsig: false,
  scopeBits: 0,
  kind: RESPONSE_KIND.error,
  nameHash: 0,
  isCounted: false,
  isSteered: false,
  limit: undefined,
  steerClient: {
    address: new Uint8Array(16),
    isIpv6: false,
    hasEcs: false,
    ecsBits: 0,
    source: NOTHING,
    isSourceIpv6: false,
  },
  steered: emptyAnswer(),
});

/** Makes the draft of the next query: nothing of the one before is left that a step could read. `parseQuery` clears `query`. */
export function beginDraft(
  draft: Draft,
  request: Uint8Array,
  requestOctets: number,
  client: Client,
  out: Uint8Array,
): void {
  draft.request = request;
  draft.requestOctets = requestOctets;
  draft.client = client;
  draft.isUdp = client.transport === TRANSPORT.udp;
  draft.isRefusedByAccess = false;
  draft.isWellFormed = false;
  draft.cookie = COOKIE.ignored;
  draft.hasEcs = false;
  draft.zone = undefined;
  draft.template = undefined;
  draft.readyRrset = -1;
  draft.out = out;
  draft.limitOctets = 0;
  draft.end = HEADER_OCTETS;
  draft.answerCount = 0;
  draft.authorityCount = 0;
  draft.additionalCount = 0;
  draft.neededEnd = 0;
  draft.neededAdditional = 0;
  draft.rcode = RCODE.NOERROR;
  draft.isAuthoritative = false;
  draft.isTruncated = false;
  draft.hasQuestion = false;
  draft.ede = NO_EDE;
  draft.hasTsig = false;
  draft.scopeBits = 0;
  draft.kind = RESPONSE_KIND.error;
  draft.nameHash = 0;
}

/** Ends a draft with an error: no records, AA=0. */
export function refuseWith(draft: Draft, rcode: number, ede: number = NO_EDE): Verdict {
  draft.rcode = rcode;
  draft.ede = ede;
  draft.isAuthoritative = false;
  draft.kind = RESPONSE_KIND.error;
  draft.nameHash = 0;
  return VERDICT.done;
}
