/**
 * `rhumb answer`: answers from a configuration without sockets, as a node would whose targets are all up.
 * @module
 */
import { randomBytes } from "node:crypto";
import { createInterface } from "node:readline";
import { answerJsonLine } from "#app/answer-jsonl.ts";
import { explainView } from "#app/explain-view.ts";
import { createExplainer } from "#app/explainer.ts";
import { generationText } from "#app/generation-text.ts";
import { createGeoLoader } from "#app/geo-loader.ts";
import { createMapDoor } from "#app/map-door.ts";
import { readQuestion } from "#app/question.ts";
import { StartRefused } from "#app/start-refused.ts";
import { systemClock } from "#base/clock.ts";
import { RhumbError } from "#base/errors.ts";
import { silentLog } from "#base/log.ts";
import { formatProblem } from "#base/problem.ts";
import { compile, createCompileContext } from "#config/compile.ts";
import { loadConfig } from "#config/load.ts";
import { createHealthTable } from "#state/health-table.ts";

export type AnswerOptions = {
  readonly config: string;
  readonly name: string | undefined;
  readonly type: string;
  readonly from: string;
  readonly jsonl: boolean;
  readonly json: boolean;
};

/** @returns the exit code */
export async function answer(options: AnswerOptions): Promise<number> {
  if (options.jsonl) return answerLines();
  const { config, name = "", type, from } = options;
  const nowMs = systemClock.nowMs();
  const context = createCompileContext(randomBytes, 1);
  const generation = { epoch: 0, sequence: 0 };
  const compiled = compile(loadConfig(config), { ...context, generation, nowMs, secrets: "warn" });
  if ("problems" in compiled) {
    for (const problem of compiled.problems) console.error(formatProblem(problem));
    throw new StartRefused(config, compiled.problems);
  }
  const { snapshot } = compiled;
  if (!snapshot.dns) throw new RhumbError("RHUMB_APP_QUESTION", `${config} has no dns section`);
  const question = readQuestion({ name, type, from, atMs: nowMs });
  const maps = createMapDoor(async () => {});
  const geo = createGeoLoader({ log: silentLog, emit: () => {}, clock: systemClock, onMaps: maps.publish });
  try {
    await geo.apply(snapshot.geo, snapshot.regions);
    const explainer = createExplainer({
      bundle: { ...snapshot, dns: snapshot.dns },
      maps: maps.maps(),
      rtt: maps.rtt(),
      healthTable: createHealthTable(context.targets.capacity),
    });
    const explained = explainer.ask(question);
    const lookup = geo.lookup(question.subnet?.bytes ?? question.source);
    const view = explainView(
      { name, type, from, atMs: nowMs },
      explained,
      generationText(generation),
      lookup,
      new Map(),
      [],
    );
    if (options.json) console.log(JSON.stringify(view, null, 2));
    else {
      console.log(`;; ${view.rcode}: ${view.says}`);
      const scope =
        view.scope && view.scope.bits > 0 ? `, for clients that share the first ${view.scope.bits} bits` : "";
      if (view.client) console.log(`;; client ${view.client.label}${scope}`);
      for (const line of [...view.answer, ...view.authority, ...view.additional]) console.log(line);
    }
    return 0;
  } finally {
    await geo.close();
  }
}

async function answerLines(): Promise<number> {
  for await (const line of createInterface({ input: process.stdin })) {
    if (line.trim() !== "") console.log(answerJsonLine(line));
  }
  return 0;
}
