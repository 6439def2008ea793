/**
 * Reads large zones in a thread of their own, before a configuration is compiled: the main thread goes on with probes
 * and the API meanwhile. Small ones `config/load.ts` reads in passing.
 *
 * Owns:    what was read last, so that nothing is read again that has not changed.
 * Never:   holds more than two states of a zone: what serves, and what was read last.
 * @module
 */
import { Worker } from "node:worker_threads";
import { fileIdentityOrNothing } from "#base/file-identity.ts";
import type { ConfigFiles, ZoneFile } from "#config/files.ts";
import { withZones, type ZonesJob, type ZonesResult } from "#config/read-zones.ts";

/**
 * Zone text that the main thread reads itself, in all: some 10,000 records, and tens of ms. To start a thread costs as
 * much.
 */
export const MAX_ZONE_OCTETS = 256 * 1_024;

export type ZoneWorkerData = {
  readonly job: ZonesJob;
  /** Something is being answered already, and comes before what is read. */
  readonly isServing: boolean;
};

export type ZoneLoader = {
  /**
   * Reads what `loadConfig()` left unread.
   * @param serving whose zones need not be read where their text is the same
   */
  complete(files: ConfigFiles, serving: ConfigFiles | undefined): Promise<ConfigFiles>;
  close(): Promise<void>;
};

/** @param seed of the name hash, one for all zones of the process */
export function createZoneLoader(seed: number): ZoneLoader {
  let last: { readonly names: string; readonly result: ZonesResult; readonly zones: readonly ZoneFile[] } | undefined;
  let worker: Worker | undefined;
  let isClosed = false;

  const run = (data: ZoneWorkerData): Promise<ZonesResult> =>
    new Promise((resolve, reject) => {
      worker = new Worker(new URL("./zone-worker.ts", import.meta.url), { workerData: data, name: "zones" });
      worker.once("message", resolve);
      worker.once("error", reject);
      worker.once("exit", (code) => {
        worker = undefined;
        // Who closes does not wait for what was being read.
        if (!isClosed) reject(new Error(`the worker thread that reads zones ended with code ${code}`));
      });
    });

  return {
    async complete(files, serving) {
      const { unread } = files;
      if (!unread) {
        last = undefined;
        return files;
      }
      const names = JSON.stringify(unread);
      if (last?.names !== names || !isUnchanged(last.result)) {
        last = undefined; // what does not serve is let go before more is read
        const held = new Map(serving?.zones.flatMap(({ file, loaded }) => (loaded ? [[file, loaded] as const] : [])));
        const known = new Map([...held].map(([file, { digest }]) => [file, digest]));
        const result = await run({ job: { ...unread, seed, known }, isServing: serving !== undefined });
        const zones = result.zones.map(({ file, origin, loaded }) => {
          return { file, origin, text: "", loaded: loaded ?? held.get(file)! };
        });
        last = { names, result: { ...result, zones: [] }, zones };
      }
      return withZones(files, last.result, last.zones);
    },
    async close() {
      isClosed = true;
      await worker?.terminate();
    },
  };
}

const isUnchanged = ({ identities }: ZonesResult): boolean =>
  [...identities].every(([path, identity]) => fileIdentityOrNothing(path) === identity);
