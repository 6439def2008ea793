/**
 * Step "choose": which records answer. Mostly they stand ready in the zone's image, or were compiled before; else the
 * zone is walked.
 * @module
 */
import { compilePlan } from "#dns/answer/compile.ts";
import { refuseWith, type Step, VERDICT } from "#dns/answer/draft.ts";
import { createRecordWriter } from "#dns/answer/record-writer.ts";
import type { Steering } from "#dns/answer/steering.ts";
import { recall, remember } from "#dns/answer/templates.ts";
import { createWalker, walk } from "#dns/answer/walk.ts";
import type { ZoneSet } from "#dns/answer/zone-set.ts";
import { EDE } from "#dns/wire/edns.ts";
import { HEADER_OCTETS } from "#dns/wire/header.ts";
import { lowerOctets } from "#dns/wire/name-key.ts";
import { RCODE } from "#dns/wire/rcodes.ts";

export type Choose = {
  readonly step: Step;
  /** The same for a service that has no address just now: NODATA, for at most `emptyTtlSeconds`; not kept. */
  chooseEmpty(draft: Parameters<Step>[0], emptyTtlSeconds: number): ReturnType<Step>;
};

/** @param options.keepsTemplates false: each answer is walked and compiled anew; for the test that all are the same */
export function createChoose(options: { zones: ZoneSet; steering: Steering; keepsTemplates: boolean }): Choose {
  const { steering, keepsTemplates } = options;
  const walker = createWalker(options.zones, steering);
  const writer = createRecordWriter();

  const plan = (draft: Parameters<Step>[0], emptyTtlSeconds: number): ReturnType<Step> => {
    const { query, zone } = draft;
    const image = zone!.image!;
    lowerOctets(draft.request, HEADER_OCTETS, query.name);
    walk(walker, zone!, image, query.name, query.qtype, draft.lookup, draft.request, HEADER_OCTETS, emptyTtlSeconds);
    if (walker.plan.rcode === RCODE.SERVFAIL) return refuseWith(draft, RCODE.SERVFAIL, EDE.NOT_READY);
    const template = compilePlan(walker.plan, image, query.name, writer);
    if (template === undefined) return refuseWith(draft, RCODE.SERVFAIL, EDE.OTHER);
    if (keepsTemplates) remember(walker, zone!, template);
    draft.template = template;
    return VERDICT.continue;
  };

  return {
    step(draft) {
      if (keepsTemplates && recall(steering, draft)) return VERDICT.continue;
      return plan(draft, -1);
    },
    chooseEmpty: plan,
  };
}
