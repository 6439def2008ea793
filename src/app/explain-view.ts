/**
 * An explained answer as the API and the command line show it.
 * @module
 */
import type { ExplainView, LoadView, TargetHealthView } from "#api/views.ts";
import type { Explained } from "#app/explainer.ts";
import { recordTexts } from "#app/record-text.ts";
import { rcodeText } from "#dns/wire/rcodes.ts";
import type { GeoLookup } from "#geo/lookup.ts";

type Evidence = Pick<
  TargetHealthView,
  "target" | "cause" | "override" | "verdict" | "isLowConfidence" | "quorum" | "votes"
>;

export function explainView(
  question: { readonly name: string; readonly type: string; readonly from: string; readonly atMs: number },
  explained: Explained,
  generation: string,
  lookup: GeoLookup | undefined,
  targets: ReadonlyMap<string, Evidence>,
  loads: LoadView["regions"],
): ExplainView {
  const { message } = explained;
  const steered = explained.steered[0];
  const rcode = rcodeText(message.rcode);
  const answer = recordTexts(message.answer);
  const { name, type, from, atMs } = question;
  return {
    name,
    type,
    from,
    atMs,
    generation,
    rcode,
    says: steered?.says ?? staticSentence(rcode, answer.length),
    service: steered?.service ?? null,
    client: steered ? { ...steered.client, override: lookup?.location.override ?? null } : null,
    regions: (steered?.regions ?? []).map((region) => {
      // The facts of the answer stand in `says`; who and why is what health knows at this moment.
      const { cause = null, override = null } = targets.get(`region/${region.id}`) ?? {};
      const load = loads.find((one) => one.region === region.id && one.measuredRps !== null) ?? null;
      return { ...region, cause, override, load, addresses: addressesOf(region.id, targets) };
    }),
    steps: (steered?.steps ?? []).map((step) => ({ ...step, before: [...step.before], after: [...step.after] })),
    ttl: steered?.ttl ?? null,
    scope: steered?.scope ?? null,
    slot: steered?.slot ?? null,
    isFailOpen: steered?.isFailOpen ?? false,
    answer,
    authority: recordTexts(message.authority),
    additional: recordTexts(message.additional),
  };
}

function addressesOf(region: string, targets: ReadonlyMap<string, Evidence>) {
  return [...targets.values()]
    .filter(({ target }) => target.startsWith(`region/${region}/`))
    .map(({ target, verdict, isLowConfidence, quorum, votes }) => ({
      target,
      verdict,
      isLowConfidence,
      quorum,
      votes,
    }));
}

function staticSentence(rcode: string, records: number): string {
  if (rcode === "NXDOMAIN") return "The name does not exist in the zone";
  if (rcode === "REFUSED") return "No zone of this server encloses the name";
  if (rcode !== "NOERROR") return `The answer is ${rcode}`;
  if (records === 0) return "The name exists, but not with this type, or it lies below a delegation";
  return "A static answer: the same for every client, whatever is up or down";
}
