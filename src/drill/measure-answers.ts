/**
 * Measures of DNS: what fresh answers said when, and what nodes said of health. Pure.
 * @module
 */
import { isOnPurpose } from "#drill/actions.ts";
import { type Collected, faultsOf, lastAt, regionFaults, type Sample, sampleOf, samplesOf } from "#drill/collected.ts";
import type { LoadMark } from "#drill/load/protocol.ts";

type Answer = Extract<LoadMark, { kind: "answer" }>;
/** What one node answers clients of one continent, in order of time. */
type Timeline = { readonly node: string; readonly continent: string; readonly answers: readonly Answer[] };

function timelinesOf({ marks }: Collected): Timeline[] {
  const answers = marks.filter((mark) => mark.kind === "answer");
  return [...Map.groupBy(answers, ({ node, continent }) => `${node} ${continent}`).values()].map((list) => ({
    node: list[0]!.node,
    continent: list[0]!.continent,
    answers: list,
  }));
}

const isSound = ({ rcode, regions }: Answer): boolean => rcode === "NOERROR" && regions.length > 0;
const leadsTo = (answer: Answer | undefined, region: string): boolean => answer?.regions.includes(region) ?? false;

/** The first sound answer after `fromMs` that does, or does not, lead to the region. */
const firstThat = (answers: readonly Answer[], fromMs: number, region: string, leads: boolean): number | undefined =>
  answers.find((answer) => answer.atMs > fromMs && isSound(answer) && leadsTo(answer, region) === leads)?.atMs;

export function detection(collected: Collected): Sample[] {
  return samplesOf(collected, ({ fault, region }) => {
    if (isOnPurpose(fault.step)) return [];
    const seen = collected.events.filter(
      ({ kind, severity, subject, atMs }) =>
        kind === "health.transition" &&
        severity === "alarm" &&
        subject === `region/${region}` &&
        atMs >= fault.atMs &&
        atMs < fault.untilMs,
    );
    const first = seen.length === 0 ? undefined : Math.min(...seen.map(({ atMs }) => atMs));
    return [sampleOf(fault.says, fault, first)];
  });
}

export function changedAnswer(collected: Collected): Sample[] {
  const timelines = timelinesOf(collected);
  return samplesOf(collected, ({ fault, region }) =>
    timelines
      .filter(({ answers }) => leadsTo(lastAt(answers, fault.atMs), region))
      .map(({ node, continent, answers }) =>
        sampleOf(`${fault.says} at ${node} for ${continent}`, fault, firstThat(answers, fault.atMs, region, false)),
      ),
  );
}

/** Of those whose answers led there when the fault came, and led elsewhere when it was healed. */
export function returnedAnswer(collected: Collected): Sample[] {
  const timelines = timelinesOf(collected);
  const heals = collected.steps.filter(({ step }) => step.action === "heal");
  return regionFaults(collected).flatMap(({ fault, region }) => {
    const heal = heals.find(({ step, atMs }) => step.target === fault.step.target && atMs === fault.untilMs);
    if (!heal) return [];
    const again = faultsOf(collected).find(
      (later) => later.step.target === fault.step.target && later.atMs > heal.atMs,
    );
    const span = { atMs: heal.atMs, untilMs: again?.atMs ?? collected.endedAtMs };
    return timelines
      .filter(
        ({ answers }) => leadsTo(lastAt(answers, fault.atMs), region) && !leadsTo(lastAt(answers, heal.atMs), region),
      )
      .map(({ node, continent, answers }) =>
        sampleOf(
          `heal ${heal.step.target} at ${node} for ${continent}`,
          span,
          firstThat(answers, heal.atMs, region, true),
        ),
      );
  });
}

/** Moves of the first region that is named, per continent: those of the node that moved most. */
export function failovers(collected: Collected): Sample[] {
  const most = new Map<string, number>();
  for (const { continent, answers } of timelinesOf(collected)) {
    const named = answers
      .filter((answer) => isSound(answer) && answer.atMs >= collected.startedAtMs)
      .map(({ regions }) => regions[0]!);
    const before = lastAt(answers.filter(isSound), collected.startedAtMs)?.regions[0];
    const all = before === undefined ? named : [before, ...named];
    const moves = all.filter((region, index) => index > 0 && region !== all[index - 1]).length;
    most.set(continent, Math.max(most.get(continent) ?? 0, moves));
  }
  return [...most].map(([of, value]) => ({ of, value }));
}

/**
 * An address of no region; or a region that somebody has taken out on purpose, given to clients again by a node that had
 * already sent them elsewhere, before it was healed. (How long a node takes to send them elsewhere is `changedAnswer`.)
 */
export function wrongAnswers(collected: Collected): Sample[] {
  const timelines = timelinesOf(collected);
  if (timelines.length === 0) return [];
  const outs = regionFaults(collected).filter(({ fault }) => isOnPurpose(fault.step));
  let wrong = 0;
  for (const { answers } of timelines) {
    wrong += answers.filter(({ regions }) => regions.includes("")).length;
    for (const { fault, region } of outs) {
      const leftAtMs = firstThat(answers, fault.atMs, region, false) ?? Number.POSITIVE_INFINITY;
      wrong += answers.filter(
        (answer) => answer.atMs > leftAtMs && answer.atMs < fault.untilMs && leadsTo(answer, region),
      ).length;
    }
  }
  return [{ of: "all nodes", value: wrong }];
}

export function emptyAnswers(collected: Collected): Sample[] {
  const timelines = timelinesOf(collected);
  if (timelines.length === 0) return [];
  const empty = timelines.flatMap(({ answers }) => answers).filter((answer) => !isSound(answer)).length;
  return [{ of: "all nodes", value: empty }];
}
