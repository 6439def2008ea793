/**
 * What workers say of requests that they served, in the main thread: lines of the access log into files, spans to their
 * endpoints.
 *
 * Owns:    the open files, and OpenTelemetry, which is loaded where it is used.
 * @module
 */
import { createAccessFiles } from "#app/balancer/access-files.ts";
import type { FromBalancerWorker } from "#app/balancer/protocol.ts";
import type { Tracing } from "#app/balancer/tracing.ts";
import type { Clock } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import type { TracingSpec } from "#state/http.ts";

export type RequestNews = Extract<FromBalancerWorker, { type: "access" | "spans" }>;

export type RequestNewsDesk = {
  hear(news: RequestNews): void;
  /** Opens files of the access log anew: they were moved. */
  reopen(): void;
  /** Lines of the access log that were dropped, by file. */
  dropped(): Readonly<Record<string, number>>;
  /** Resolves when all that came before is written and sent. */
  close(): Promise<void>;
};

export function createRequestNewsDesk(options: {
  readonly clock: Clock;
  readonly log: Log;
  /** Of the listener with this name, now. */
  readonly tracingOf: (listener: string) => TracingSpec | undefined;
}): RequestNewsDesk {
  const files = createAccessFiles(options);
  let tracing: Promise<Tracing> | undefined;

  async function record({ spans }: Extract<RequestNews, { type: "spans" }>): Promise<void> {
    tracing ??= import("#app/balancer/tracing.ts").then(({ createTracing }) => createTracing());
    const opened = await tracing;
    for (const { listener, span } of spans) {
      const target = options.tracingOf(listener);
      if (target !== undefined) opened.record(target, span);
    }
  }
  return {
    hear(news) {
      if (news.type === "access") files.write(news.path, news.lines);
      else void record(news);
    },
    reopen: files.reopen,
    dropped: files.dropped,
    async close() {
      await Promise.all([files.close(), tracing?.then((opened) => opened.close())]);
    },
  };
}
