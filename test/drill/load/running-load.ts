/** A load that runs in this process, and what it writes. */
import { PassThrough } from "node:stream";
import type { TestContext } from "node:test";
import type { LoadLine, LoadSecond, LoadSpec } from "#drill/load/protocol.ts";
import { runLoad } from "#drill/load/run-load.ts";

export type RunningLoad = {
  readonly lines: readonly LoadLine[];
  /** Resolves with the first line that fits, of those written already or to come. */
  until(fits: (line: LoadLine) => boolean): Promise<LoadLine>;
  /** Ends the input. Resolves with all lines when the load has ended. */
  end(): Promise<readonly LoadLine[]>;
  readonly output: PassThrough;
  readonly over: Promise<void>;
};

export function runningLoad(context: Pick<TestContext, "after">, spec: LoadSpec): RunningLoad {
  const input = new PassThrough();
  const output = new PassThrough();
  const lines: LoadLine[] = [];
  const looking = new Set<() => void>();
  let rest = "";
  output.setEncoding("utf8").on("data", (text: string) => {
    const parts = (rest + text).split("\n");
    rest = parts.pop()!;
    for (const part of parts) lines.push(JSON.parse(part) as LoadLine);
    for (const look of looking) look();
  });
  input.write(`${JSON.stringify(spec)}\n`);
  const over = runLoad(input, output);
  context.after(async () => {
    input.end();
    await over;
  });
  return {
    lines,
    output,
    over,
    until(fits) {
      const { promise, resolve } = Promise.withResolvers<LoadLine>();
      const look = (): void => {
        const line = lines.find(fits);
        if (line === undefined) return;
        looking.delete(look);
        resolve(line);
      };
      looking.add(look);
      look();
      return promise;
    },
    async end() {
      input.end();
      await over;
      return lines;
    },
  };
}

export const secondsOf = (lines: readonly LoadLine[]): LoadSecond[] => lines.filter((line) => line.kind === "second");
/** The sum of all counts of all regions. */
export const total = (
  seconds: readonly LoadSecond[],
  of: (second: LoadSecond) => Readonly<Record<string, object>>,
): number =>
  seconds
    .flatMap((second) => Object.values(of(second)))
    .flatMap((counts) => Object.values(counts) as number[])
    .reduce((sum, count) => sum + count, 0);
