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

export class TotalsHistogram extends Histogram {
  readonly #name: string;
  readonly #bounds: readonly number[];
  #samples: { readonly totals: HistogramTotals; readonly labels: Labels }[] = [];

  constructor(configuration: HistogramConfiguration<string> & { buckets: number[] }) {
    super(configuration);
    this.#name = configuration.name;
    this.#bounds = configuration.buckets;
  }
  /** One set of labels; once a scrape. */
  set(totals: HistogramTotals, labels: Labels): void {
    this.#samples.push({ totals, labels });
  }
  clear(): void {
    this.#samples = [];
  }
  override async get(): Promise<Awaited<ReturnType<Histogram["get"]>>> {
    const values = this.#samples.flatMap(({ totals: { upTo, count, sum }, labels }) => [
      ...this.#bounds.map((bound, index) => ({
        labels: { ...labels, le: bound },
        value: upTo[index]!,
        metricName: `${this.#name}_bucket`,
      })),
      { labels: { ...labels, le: "+Inf" }, value: count, metricName: `${this.#name}_bucket` },
      { labels, value: sum, metricName: `${this.#name}_sum` },
      { labels, value: count, metricName: `${this.#name}_count` },
    ]);
    return { ...(await super.get()), values };
  }
  /** What the registry asks for, without saying so in its types. */
  getForPromString(): ReturnType<TotalsHistogram["get"]> {
    return this.get();
  }
}
