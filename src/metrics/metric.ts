/**
 * What a metric is.
 * @module
 */
export type Metric = {
  readonly type: "counter" | "gauge" | "histogram";
  readonly unit: string;
  readonly help: string;
  readonly labels: readonly string[];
  /** Upper bounds of a histogram's buckets, in its unit. */
  readonly buckets?: readonly number[];
};

export const counter = (unit: string, help: string, labels: readonly string[] = []): Metric => ({
  type: "counter",
  unit,
  help,
  labels,
});
export const gauge = (unit: string, help: string, labels: readonly string[] = []): Metric => ({
  type: "gauge",
  unit,
  help,
  labels,
});
