/**
 * Metrics of what a node learns from others than its own probes: a table of backends, beacons, connections.
 * @module
 */
import { counter, gauge } from "#metrics/metric.ts";

export const SOURCE_METRICS = {
  rhumb_source_connected: gauge("bool", "1 while the table of backends can be read", ["table"]),
  rhumb_source_rows: gauge("rows", "Rows of the table that serve", ["table"]),
  rhumb_source_bad_rows: gauge("rows", "Rows that cannot be used; at most 50 are counted", ["table"]),
  rhumb_source_read_seconds: gauge("seconds", "Since the table was read; absent before the first time", ["table"]),
  rhumb_source_reads_total: counter("reads", "Times that the table was read", ["table"]),
  rhumb_source_rows_written_total: counter("rows", "Rows whose health was written back", ["table"]),
  rhumb_rum_beacons_total: counter("beacons", "Beacons of pages, by what became of them", ["outcome"]),
  rhumb_rum_voices: gauge("networks", "Networks whose beacons are remembered"),
  rhumb_latency_connection_networks: gauge("networks", "Networks of clients whose connections were timed"),
};
