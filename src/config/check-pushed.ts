/**
 * What is wrong with texts before they are pushed, and with files that lie under pushed ones.
 * @module
 */
import type { Problem } from "#base/problem.ts";
import { type Layout, pathOf, type Shadow } from "#config/pushed.ts";
import { parseYaml } from "#config/yaml.ts";

/** All texts together. What is larger, such as zones of a hundred thousand records, stays in files. */
export const MAX_PUSHED_OCTETS = 2 * 1_048_576;
const MAX_PUSHED_FILES = 2_000;

const refusal = (file: string, says: string, fix: string): Problem => ({
  file,
  line: 1,
  column: 1,
  path: "",
  severity: "error",
  says,
  fix,
});

/** What forbids these texts to be pushed, whatever they say. */
export function pushedProblems(files: Readonly<Record<string, string>>): Problem[] {
  const problems: Problem[] = [];
  const layout: Layout = { zones: "zones", regions: "regions", geoOverrides: "overrides", checks: "health" };
  let octets = 0;
  for (const [name, text] of Object.entries(files)) {
    octets += Buffer.byteLength(text);
    if (pathOf(name, layout) === undefined)
      problems.push(
        refusal(
          name,
          "No such file is pushed",
          "Push zones/…, zones/services.yaml, geo-data/regions.yaml, geo-data/overrides.yaml or health/CHECK.yaml; the rest is each node's own",
        ),
      );
    else if (name.startsWith("health/") && isScript(name, text))
      problems.push(
        refusal(
          name,
          "A check that runs a program is never pushed",
          "Put it into the folder of the checks of each node",
        ),
      );
  }
  if (octets > MAX_PUSHED_OCTETS)
    problems.push(
      refusal("files", `They have ${octets} octets, more than ${MAX_PUSHED_OCTETS}`, "Leave large zones in files"),
    );
  if (Object.keys(files).length > MAX_PUSHED_FILES)
    problems.push(refusal("files", `More than ${MAX_PUSHED_FILES} files`, "Put several names into one zone"));
  return problems;
}

export function isScript(name: string, text: string): boolean {
  const value = parseYaml(name, text, []).value as Record<string, unknown> | null | undefined;
  return value?.["kind"] === "script";
}

/** Whoever edits a file that does not serve is told so. */
export const shadowProblems = (shadows: readonly Shadow[]): Problem[] =>
  shadows
    .filter(({ isEdited }) => isEdited)
    .map(({ file }) => ({
      ...refusal(
        file,
        "The file was changed, but what was pushed to all nodes serves in its place",
        "Push it (`rhumb config push`), or look at both with `rhumb config diff`",
      ),
      severity: "warning",
    }));
