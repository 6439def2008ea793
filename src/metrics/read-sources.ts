/**
 * What a node learns from others → the metrics of `catalog-sources.ts`.
 * @module
 */
import type { SOURCE_METRICS } from "#metrics/catalog-sources.ts";

export type LearningSource = {
  /** Null: there is no table of backends. */
  readonly table: {
    readonly table: string;
    readonly isConnected: boolean;
    readonly readAtMs: number | null;
    readonly rows: number;
    readonly problems: readonly unknown[];
    readonly reads: number;
    readonly rowsWritten: number;
  } | null;
  readonly beacons: Readonly<Record<string, number>>;
  /** Whether beacons are taken. */
  readonly hasBeacons: boolean;
  readonly voices: number;
  /** Null: there is no balancer. */
  readonly connectionNetworks: number | null;
};
type Write = (name: keyof typeof SOURCE_METRICS, value: number, labels?: Record<string, string>) => void;

/** @param total sets a counter to what it has become */
export function readSources(source: LearningSource, nowMs: number, set: Write, total: Write): void {
  if (source.table) {
    const { table, isConnected, readAtMs, rows, problems, reads, rowsWritten } = source.table;
    set("rhumb_source_connected", isConnected ? 1 : 0, { table });
    set("rhumb_source_rows", rows, { table });
    set("rhumb_source_bad_rows", problems.length, { table });
    if (readAtMs !== null) set("rhumb_source_read_seconds", (nowMs - readAtMs) / 1_000, { table });
    total("rhumb_source_reads_total", reads, { table });
    total("rhumb_source_rows_written_total", rowsWritten, { table });
  }
  if (source.hasBeacons) {
    for (const [outcome, count] of Object.entries(source.beacons)) total("rhumb_rum_beacons_total", count, { outcome });
    set("rhumb_rum_voices", source.voices);
  }
  if (source.connectionNetworks !== null) set("rhumb_latency_connection_networks", source.connectionNetworks);
}
