/**
 * A histogram whose truth lies elsewhere: set to totals at each scrape, where prom-client's own counts one by one.
 * @module
 */
import { Histogram, type HistogramConfiguration } from "prom-client";

export type HistogramTotals = {
  /** Observations up to each bound. */
  readonly upTo: readonly number[];
  readonly count: number;
  /** In the histogram's unit. */
  readonly sum: number;
};
type Labels = Record<string, string>;
type Sample = { readonly labels: Record<string, string | number>; readonly value: number; readonly metricName: string };

export class TotalsHistogram extends Histogram {
  readonly #settings: { readonly name: string; readonly help: string; readonly buckets: readonly number[] };
  #samples: Sample[] = [];

  constructor(configuration: HistogramConfiguration<string> & { buckets: number[] }) {
    super(configuration);
    this.#settings = configuration;
  }
  /** One set of labels; once a scrape. */
  set({ upTo, count, sum }: HistogramTotals, labels: Labels): void {
    const { name, buckets } = this.#settings;
    const bucket = (le: string | number, value: number): Sample => ({
      labels: { ...labels, le },
      value,
      metricName: `${name}_bucket`,
    });
    this.#samples.push(
      ...buckets.map((bound, index) => bucket(bound, upTo[index]!)),
      bucket("+Inf", count),
      { labels, value: sum, metricName: `${name}_sum` },
      { labels, value: count, metricName: `${name}_count` },
    );
  }
  clear(): void {
    this.#samples = [];
  }
  /** What the registry asks for, instead of `get`, and does not say so in its types. */
  async getForPromString(): Promise<object> {
    const { name, help } = this.#settings;
    return { name, help, type: "histogram", aggregator: "sum", values: this.#samples };
  }
}
