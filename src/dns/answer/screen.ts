/**
 * Step "screen": everything that is decided before any zone is looked at, in the order in which it must be decided.
 *
 * Owns:    the rules below, one function each, from the opcode to the class. The first that speaks, speaks alone.
 * Never:   reads the message again: `parseQuery` has.
 * @module
 */
import { createChaos } from "#dns/answer/chaos.ts";
import { type Draft, refuseWith, type Step, VERDICT, type Verdict } from "#dns/answer/draft.ts";
import { isEcsValid } from "#dns/answer/opt.ts";
import { CLASS } from "#dns/wire/classes.ts";
import { EDE } from "#dns/wire/edns.ts";
import { HEADER_OCTETS } from "#dns/wire/header.ts";
import { OPCODE, RCODE } from "#dns/wire/rcodes.ts";
import { TYPE } from "#dns/wire/types.ts";
import { COOKIE, type Guard } from "#state/guard.ts";

export type ScreenSettings = {
  readonly guard: Guard;
  /** Heed client subnets (RFC 7871); false: the option is unknown to us. */
  readonly ecs: boolean;
  readonly chaos: { readonly version: string | undefined; readonly id: string | undefined };
};

/** @returns the step before "find"; the draft's `isWellFormed` says what the parser found */
export function createScreen(settings: ScreenSettings): Step {
  const screenOptions = createScreenOptions(settings);
  const answerChaos = createChaos(settings.chaos);
  return (draft) =>
    screenOpcode(draft) ||
    screenQuestionCount(draft) ||
    screenFormat(draft) ||
    screenVersion(draft) ||
    screenOptions(draft) ||
    screenEmptyQuestion(draft) ||
    screenTsig(draft) ||
    screenAccess(draft) ||
    screenType(draft) ||
    answerChaos(draft) ||
    screenClass(draft);
}

/** Header and OPT only, for every opcode but QUERY (RFC 8906 §3.1.4). */
function screenOpcode(draft: Draft): Verdict {
  if (draft.query.opcode === OPCODE.QUERY) return VERDICT.continue;
  draft.hasQuestion = false;
  draft.end = HEADER_OCTETS;
  draft.neededEnd = HEADER_OCTETS;
  return refuseWith(draft, RCODE.NOTIMP);
}

/** More than one question (RFC 9619 §4): the first one is said back, if it could be read. */
function screenQuestionCount(draft: Draft): Verdict {
  return draft.query.questionCount > 1 ? refuseWith(draft, RCODE.FORMERR) : VERDICT.continue;
}

/** Bad question, bad records, misplaced or repeated OPT, trailing octets. */
function screenFormat(draft: Draft): Verdict {
  return draft.isWellFormed ? VERDICT.continue : refuseWith(draft, RCODE.FORMERR);
}

/** RFC 6891 §6.1.3. */
function screenVersion(draft: Draft): Verdict {
  return draft.query.ednsVersion > 0 ? refuseWith(draft, RCODE.BADVERS) : VERDICT.continue;
}

/** Options that have a form (RFC 7871 §7.1.2, RFC 7873 §5.2.2). */
function createScreenOptions(settings: ScreenSettings): Step {
  const { guard } = settings;
  return (draft) => {
    const { query, request } = draft;
    if (settings.ecs && query.ecsAt >= 0) {
      if (!isEcsValid(request, query.ecsAt, query.ecsOctets)) return refuseWith(draft, RCODE.FORMERR);
      draft.hasEcs = true;
    }
    if (query.cookieAt >= 0) {
      const cookie = guard.cookie(request, query.cookieAt, query.cookieOctets, draft.client, draft.nowMs!);
      if (cookie === COOKIE.malformed) {
        draft.hasEcs = false;
        return refuseWith(draft, RCODE.FORMERR);
      }
      draft.cookie = cookie;
    }
    return VERDICT.continue;
  };
}

/** No question is a fault, unless the client is after a cookie only (RFC 7873 §5.4). */
function screenEmptyQuestion(draft: Draft): Verdict {
  if (draft.query.questionCount > 0) return VERDICT.continue;
  return refuseWith(draft, draft.cookie >= COOKIE.fresh ? RCODE.NOERROR : RCODE.FORMERR);
}

/** We hold no keys: every TSIG names one that we do not know (RFC 8945 §5.2.1). */
function screenTsig(draft: Draft): Verdict {
  if (draft.query.tsigAt < 0) return VERDICT.continue;
  draft.hasTsig = true;
  return refuseWith(draft, RCODE.NOTAUTH);
}

function screenAccess(draft: Draft): Verdict {
  return draft.isRefusedByAccess ? refuseWith(draft, RCODE.REFUSED, EDE.PROHIBITED) : VERDICT.continue;
}

/** Types that no zone holds. ANY is none of them; types that are merely unknown get NODATA (RFC 3597 §2). */
function screenType(draft: Draft): Verdict {
  const { qtype } = draft.query;
  if (qtype < TYPE.NXNAME || qtype >= TYPE.ANY) return VERDICT.continue;
  switch (qtype) {
    case TYPE.NXNAME:
      return refuseWith(draft, RCODE.FORMERR, EDE.INVALID_QUERY_TYPE); // RFC 9824 §3.5
    case TYPE.AXFR:
      if (draft.isUdp) return refuseWith(draft, RCODE.FORMERR);
      return refuseWith(draft, RCODE.REFUSED, EDE.PROHIBITED);
    case TYPE.IXFR:
      return refuseWith(draft, RCODE.REFUSED, EDE.PROHIBITED);
    default:
      return refuseWith(draft, RCODE.NOTIMP);
  }
}

/** Only IN has zones; ANY means it as well. */
function screenClass(draft: Draft): Verdict {
  const { qclass } = draft.query;
  return qclass === CLASS.IN || qclass === CLASS.ANY ? VERDICT.continue : refuseWith(draft, RCODE.REFUSED);
}
