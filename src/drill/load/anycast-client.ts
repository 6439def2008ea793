/**
 * Requests to the anycast address, each in a connection of its own: where a connection lands is decided when it is opened.
 * @module
 */
import { TRY_TIMEOUT_MS } from "#drill/load/clients.ts";
import { isOk, tryHttp } from "#drill/load/http-try.ts";
import type { Ledger } from "#drill/load/ledger.ts";
import type { Endpoint } from "#drill/stage.ts";

/** With time-outs of 2 s: 500 requests a second. */
const OPEN_MOST = 1_000;

export type AnycastOptions = {
  readonly at: Endpoint;
  readonly host: string;
  /** Those that there are. */
  readonly regions: ReadonlySet<string>;
  readonly ledger: Ledger;
  nowMs(): number;
  /** Called when what becomes of requests changes: who answers, or that nobody does (""). */
  onChange(region: string, isOk: boolean, atMs: number): void;
};

export type AnycastClient = { request(dueMs: number): void };

export function createAnycastClient({ at, host, regions, ledger, nowMs, onChange }: AnycastOptions): AnycastClient {
  let sequence = 0;
  /** The newest request of which the outcome is known: older ones say nothing of now. */
  let newest = -1;
  let said = "";
  let open = 0;

  async function run(mine: number): Promise<{ readonly region: string; readonly isOk: boolean }> {
    const owner = { client: mine, address: at.address };
    const result = await tryHttp({ at, host, timeoutMs: TRY_TIMEOUT_MS, agent: undefined, owner });
    const says = result === "failed" ? undefined : result.says;
    return { region: says !== undefined && regions.has(says) ? says : "", isOk: isOk(result) };
  }

  return {
    request(dueMs) {
      const entry = ledger.anycast(dueMs, nowMs());
      const mine = sequence++;
      if (open >= OPEN_MOST) return entry.end("", false);
      open++;
      void run(mine).then(({ region, isOk }) => {
        open--;
        entry.end(region, isOk);
        if (mine < newest) return;
        newest = mine;
        const key = `${isOk} ${region}`;
        if (key === said) return;
        said = key;
        onChange(region, isOk, nowMs());
      });
    },
  };
}
