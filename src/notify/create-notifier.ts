/**
 * Alarms to people: webhook, Alertmanager, command (ruling 24).
 *
 * Owns:    which alarms are open, and a bounded queue for each notifier. Writer: whoever emits events, through `notify`.
 * Rules:   warnings and alarms are sent once per kind and subject, again every four hours while they are open (an
 *          Alertmanager takes an alert that is not repeated for ended), and once more when they are resolved. Info is not sent. One notifier's trouble never delays another's.
 * Never:   blocks the caller, or throws into it.
 * @module
 */
import { backoffMs } from "#base/backoff.ts";
import type { Clock, Timer } from "#base/clock.ts";
import { RhumbError } from "#base/errors.ts";
import type { Log } from "#base/log.ts";
import type { Rng } from "#base/rng.ts";
import { type Delivery, deliver } from "#notify/deliver.ts";
import type { RhumbEvent } from "#state/events.ts";
import type { NotifySpec } from "#state/snapshot.ts";

export const REPEAT_MS = 4 * 3_600_000;
const QUEUE_MESSAGES = 100;
const ATTEMPTS = 6;
const BACKOFF_BASE_MS = 2_000;
const BACKOFF_CAP_MS = 300_000;
/** Alarms remembered for repeats; far more than a node can have. */
const MAX_OPEN = 10_000;

/** What has happened and is over: nothing resolves it, and it is not repeated, but forgotten after that time. */
const MOMENTARY_KINDS: ReadonlySet<string> = new Set<RhumbEvent["kind"]>(["engine.worker-restarted"]);

export type OpenAlarm = {
  readonly kind: string;
  readonly subject: string;
  readonly severity: "warning" | "alarm";
  readonly says: string;
  readonly sinceMs: number;
};
export type NotifyTest = { readonly name: string; readonly isDelivered: boolean; readonly says: string };
export type Notifier = {
  /** Takes any event and decides itself whether anybody is told. */
  notify(event: RhumbEvent): void;
  /** Alarms that were raised and not resolved, oldest first: for GET /status. */
  open(): readonly OpenAlarm[];
  /** Sends a test message at once, past queue and dedup. @throws RhumbError RHUMB_NOTIFY_UNKNOWN */
  test(name?: string): Promise<readonly NotifyTest[]>;
  /** Takes over new notifiers, who are told what is open; what waits for one that stays is kept. */
  apply(specs: readonly NotifySpec[]): void;
  /** Resolves when nothing is under way any more; what still waits for a retry is given up. */
  close(): Promise<void>;
};

export type NotifierOptions = {
  readonly specs: readonly NotifySpec[];
  readonly node: string;
  readonly log: Log;
  readonly clock: Clock;
  readonly rng?: Rng;
  readonly fetch?: typeof globalThis.fetch;
  /** For metrics. */
  readonly observe?: (notifier: string, result: "delivered" | "failed" | "dropped") => void;
  readonly timeoutMs?: number;
};

/** `severity` is that of the alarm that the event is about, also where the event ends it. */
type Message = { readonly event: RhumbEvent; readonly severity: OpenAlarm["severity"] };

type Channel = {
  spec: NotifySpec;
  readonly queue: Message[];
  timer: Timer | undefined;
  work: Promise<void> | undefined;
};

export function createNotifier(options: NotifierOptions): Notifier {
  const { node, log, clock, rng = Math.random, fetch = globalThis.fetch, observe, timeoutMs } = options;
  const channels = new Map<string, Channel>();
  const alarms = new Map<string, OpenAlarm & { readonly event: RhumbEvent; readonly sentAtMs: number }>();
  let repeat: Timer | undefined;
  let isClosed = false;

  const send = (spec: NotifySpec, { event, severity }: Message): Promise<Delivery> => {
    const limit = timeoutMs === undefined ? {} : { timeoutMs };
    return deliver(spec, event, { node, severity, repeatMs: REPEAT_MS, fetch, ...limit });
  };

  /** Works through a channel's queue in order; one message at a time, so that "resolved" never overtakes its alarm. */
  function pump(channel: Channel, attempt = 0): void {
    const message = channel.queue[0];
    if (isClosed || channel.work || channel.timer || !message) return;
    channel.work = send(channel.spec, message).then((delivery) => {
      channel.work = undefined;
      const name = channel.spec.name;
      if (!delivery.isDelivered && delivery.mayRetry && attempt + 1 < ATTEMPTS && !isClosed) {
        log.warn(
          { notifier: name, attempt, says: delivery.says },
          "A notification was not delivered; it will be tried again",
        );
        // Half of the wait is fixed: full jitter alone might try six times within a second.
        const base = Math.min(BACKOFF_CAP_MS, BACKOFF_BASE_MS * 2 ** attempt) / 2;
        channel.timer = clock.after(base + backoffMs(attempt, BACKOFF_BASE_MS, BACKOFF_CAP_MS, rng) / 2, () => {
          channel.timer = undefined;
          pump(channel, attempt + 1);
        });
        return;
      }
      if (!delivery.isDelivered) {
        log.error(
          { notifier: name, event: message.event, says: delivery.says },
          "A notification could not be delivered and was given up",
        );
      }
      observe?.(name, delivery.isDelivered ? "delivered" : "failed");
      channel.queue.shift();
      pump(channel);
    });
  }

  function enqueue(message: Message, onlyTo?: NotifySpec["kind"]): void {
    for (const channel of channels.values()) {
      if (onlyTo !== undefined && channel.spec.kind !== onlyTo) continue;
      if (channel.queue.length >= QUEUE_MESSAGES) {
        // The oldest that is not under way goes: the newest says most about now.
        channel.queue.splice(1, 1);
        observe?.(channel.spec.name, "dropped");
        log.warn({ notifier: channel.spec.name }, "The queue of a notifier is full; its oldest message was dropped");
      }
      channel.queue.push(message);
      pump(channel);
    }
  }

  function apply(specs: readonly NotifySpec[]): void {
    for (const [name, channel] of channels) {
      if (specs.some((spec) => spec.name === name)) continue;
      channel.timer?.cancel();
      channel.queue.length = 0;
      channels.delete(name);
    }
    for (const spec of specs) {
      const channel = channels.get(spec.name);
      if (channel) channel.spec = spec;
      else {
        // Who is new hears what is open: also what was raised at the start, before the configuration named anybody.
        const queue = [...alarms.values()].slice(-QUEUE_MESSAGES).map(({ event, severity }) => ({ event, severity }));
        const fresh: Channel = { spec, queue, timer: undefined, work: undefined };
        channels.set(spec.name, fresh);
        pump(fresh);
      }
    }
  }
  apply(options.specs);

  /** Sets the timer for the alarm that is next to be repeated. */
  function repeatLater(): void {
    repeat?.cancel();
    repeat = undefined;
    if (isClosed || alarms.size === 0) return;
    const dueMs = Math.min(...[...alarms.values()].map(({ sentAtMs }) => sentAtMs)) + REPEAT_MS;
    repeat = clock.after(Math.max(0, dueMs - clock.nowMs()), () => {
      const nowMs = clock.nowMs();
      for (const [key, open] of alarms) {
        if (nowMs - open.sentAtMs < REPEAT_MS) continue;
        if (MOMENTARY_KINDS.has(open.kind)) {
          alarms.delete(key);
          continue;
        }
        alarms.set(key, { ...open, sentAtMs: nowMs });
        enqueue({ event: { ...open.event, atMs: nowMs }, severity: open.severity });
      }
      repeatLater();
    });
  }

  return {
    apply,
    notify(event) {
      if (event.severity === "info" || isClosed) return;
      const key = `${event.kind}\n${event.subject}`;
      const before = alarms.get(key);
      if (event.severity === "resolved") {
        if (!before) return; // nobody was told of it
        alarms.delete(key);
        repeatLater();
        enqueue({ event, severity: before.severity });
        return;
      }
      const isWorse = before?.severity === "warning" && event.severity === "alarm";
      const isDue = !before || isWorse || clock.nowMs() - before.sentAtMs >= REPEAT_MS;
      const { kind, subject, says } = event;
      const severity = isWorse ? "alarm" : (before?.severity ?? event.severity);
      const sentAtMs = isDue ? clock.nowMs() : before.sentAtMs;
      alarms.set(key, { kind, subject, severity, says, sinceMs: before?.sinceMs ?? event.atMs, event, sentAtMs });
      if (alarms.size > MAX_OPEN) alarms.delete(alarms.keys().next().value!);
      repeatLater();
      if (!isDue) return;
      // The severity is one of the labels that an Alertmanager knows an alert by: the milder one has ended.
      if (isWorse) enqueue({ event: { ...event, severity: "resolved" }, severity: "warning" }, "alertmanager");
      enqueue({ event, severity });
    },
    open: () => [...alarms.values()].map(({ sentAtMs: _sentAtMs, event: _event, ...alarm }) => alarm),
    async test(name) {
      const chosen = [...channels.values()].filter(({ spec }) => name === undefined || spec.name === name);
      if (name !== undefined && chosen.length === 0) throw new RhumbError("RHUMB_NOTIFY_UNKNOWN", name);
      const event: RhumbEvent = {
        kind: "notify.test",
        atMs: clock.nowMs(),
        severity: "warning",
        subject: `node/${node}`,
        says: "This is a test of the notifier; nothing is wrong",
      };
      return Promise.all(
        chosen.map(async ({ spec }) => {
          const { isDelivered, says } = await send(spec, { event, severity: "warning" });
          return { name: spec.name, isDelivered, says };
        }),
      );
    },
    async close() {
      isClosed = true;
      repeat?.cancel();
      for (const channel of channels.values()) channel.timer?.cancel();
      await Promise.all([...channels.values()].map(({ work }) => work));
    },
  };
}
