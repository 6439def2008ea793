/**
 * The command line of the benchmarks that compare servers, `bench/dns.ts` and `bench/l4.ts`. Pure.
 * @module
 */
import { parseArgs } from "node:util";

/** What `--help` prints. */
export const usageOf = (
  bench: string,
  { quick, full, calm, says, example }: Rounds & { says: string; example: string },
) =>
  `Usage: npm run bench -- ${bench} [options]
  --quick                one second a round, ${quick} rounds, ${says}
  --only LOAD[,LOAD]     these loads alone
  --subjects NAME[,…]    these servers alone
  --rounds N             ${full} by default
${calm ? CALM_USAGE(calm) : ""}  --json FILE            writes machine, rounds and ratios, after each load; loads that FILE has already stay in it
  --resume               measures only loads that FILE does not have yet
  --markdown PAGE        puts the tables of FILE into a page, between its marks
Example: npm run bench -- ${bench} ${example}
`;
/** How often each server is measured, where `--rounds` does not say. */
export type Rounds = { readonly quick: number; readonly full: number; readonly calm?: CalmWish };
/** Of loads whose rounds count only where the machine was calm: how many each subject shall have, and how long to try. */
export type CalmWish = { readonly rounds: number; readonly minutes: number };
const CALM_USAGE = ({ rounds, minutes }: CalmWish): string =>
  `  --patience MINUTES     ${minutes} by default: so long a load of latencies tries for ${rounds} calm rounds of each\n`;
export type BenchOptions = {
  readonly isQuick: boolean;
  readonly only: readonly string[] | undefined;
  readonly subjects: readonly string[] | undefined;
  readonly rounds: number;
  readonly patienceMs: number;
  readonly json: string | undefined;
  readonly isResumed: boolean;
  readonly markdown: string | undefined;
};

/**
 * @param known names that `--only` and `--subjects` may have
 * @returns "help", or a sentence that says what is wrong
 */
export function parseBenchOptions(
  args: readonly string[],
  known: { readonly loads: readonly string[]; readonly subjects: readonly string[] },
  byDefault: Rounds,
): BenchOptions | string {
  let values: ReturnType<typeof parse>;
  try {
    values = parse(args);
  } catch (error) {
    return (error as Error).message;
  }
  if (values.help) return "help";
  const only = values.only?.split(",");
  const subjects = values.subjects?.split(",");
  for (const [flag, list, names] of [
    ["--only", only, known.loads],
    ["--subjects", subjects, known.subjects],
  ] as const) {
    const strange = list?.find((name) => !names.includes(name));
    if (strange !== undefined) return `${flag} does not know ${JSON.stringify(strange)}; it knows ${names.join(", ")}`;
  }
  const rounds = Number(values.rounds ?? (values.quick ? byDefault.quick : byDefault.full));
  if (!Number.isInteger(rounds) || rounds < 1) return `--rounds must be a whole number above 0, not ${values.rounds}`;
  const patience = Number(values.patience ?? byDefault.calm?.minutes ?? 0);
  if (!(patience >= 0)) return `--patience must be a number of minutes, not ${values.patience}`;
  if (values.patience !== undefined && !byDefault.calm)
    return "--patience is for loads of latencies, and there are none";
  if (values.resume && values.json === undefined) return "--resume needs --json FILE, the file to go on with";
  return {
    isQuick: values.quick ?? false,
    only,
    subjects,
    rounds,
    patienceMs: patience * 60_000,
    json: values.json,
    isResumed: values.resume ?? false,
    markdown: values.markdown,
  };
}

const parse = (args: readonly string[]) =>
  parseArgs({
    args: [...args],
    options: {
      quick: { type: "boolean" },
      only: { type: "string" },
      subjects: { type: "string" },
      rounds: { type: "string" },
      patience: { type: "string" },
      json: { type: "string" },
      resume: { type: "boolean" },
      markdown: { type: "string" },
      help: { type: "boolean", short: "h" },
    },
  }).values;
