/**
 * Asks every node the same questions all the time, and writes down what they say: who gave a wrong or an empty answer, and how
 * long it took until all agreed.
 *
 * A phase begins with `expect()`: from then on an answer may be that of the phase before or the new one, and once a node has
 * given the new one it may not go back. Everything else is wrong.
 */
import assert from "node:assert/strict";
import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import type { TestContext } from "node:test";
import dns2 from "dns2";
import { encodeQuery } from "#dns/wire/encode-query.ts";
import { parseName } from "#dns/wire/name.ts";
import { TYPE } from "#dns/wire/types.ts";

const EVERY_MS = 100;
/** An answer that takes longer did not come. */
const PATIENCE_MS = 1_000;

export type Answers = Readonly<Record<string, readonly string[]>>;
type Sample = { readonly atMs: number; readonly node: string; readonly name: string; readonly says: string };
export type Phase = {
  readonly label: string;
  /** Until all nodes gave the new answers, for the first time; undefined: they never did. */
  readonly agreedMs: number | undefined;
  readonly samples: number;
  readonly wrong: readonly string[];
  /** Questions without an answer, by node. */
  readonly silent: Readonly<Record<string, number>>;
};

export type Recorder = {
  /** What each name is to say from now on, at all nodes that are not `away`. Resolves when they do, with the time it took in ms. */
  expect(label: string, answers: Answers, away?: readonly string[]): Promise<number>;
  /** Goes on as it is for so long. */
  hold(ms: number): Promise<void>;
  /** No wrong and no empty answer, in no phase; prints a line for each. */
  finish(): readonly Phase[];
};

const text = (addresses: readonly string[]): string => [...addresses].sort().join(" ") || "empty";

class Asker {
  readonly #socket: Socket;
  readonly #waiting = new Map<number, { readonly name: string; readonly atMs: number }>();
  #id = Math.floor(Math.random() * 65_536);
  readonly #port: number;

  constructor(port: number, onAnswer: (name: string, says: string) => void) {
    this.#port = port;
    this.#socket = createSocket("udp4");
    this.#socket.on("error", () => {}); // a node that is not there: its silence is counted
    this.#socket.on("message", (octets) => {
      const { header, answers } = dns2.Packet.parse(octets);
      const asked = this.#waiting.get(header.id);
      if (!asked || !this.#waiting.delete(header.id)) return;
      const addresses = answers.flatMap((answer) => ("address" in answer ? [String(answer.address)] : []));
      onAnswer(asked.name, header.rcode === 0 ? text(addresses) : `rcode ${header.rcode}`);
    });
  }

  ask(name: string): void {
    this.#id = (this.#id + 1) & 0xffff;
    this.#waiting.set(this.#id, { name, atMs: performance.now() });
    this.#socket.send(encodeQuery(parseName(name) as Uint8Array, TYPE.A, { id: this.#id }), this.#port, "127.0.0.1");
  }

  /** @returns the questions that nobody has answered in time */
  overdue(): number {
    const limitMs = performance.now() - PATIENCE_MS;
    let count = 0;
    for (const [id, { atMs }] of this.#waiting) {
      if (atMs > limitMs) continue;
      this.#waiting.delete(id);
      count++;
    }
    return count;
  }

  async close(): Promise<void> {
    const closed = once(this.#socket, "close");
    this.#socket.close();
    await closed;
  }
}

/** @param names absolute, without the last dot */
export function recordAnswers(
  context: Pick<TestContext, "after" | "diagnostic">,
  nodes: readonly { readonly name: string; readonly port: number }[],
  names: readonly string[],
): Recorder {
  const startMs = performance.now();
  const phases: Phase[] = [];
  let open:
    | {
        readonly label: string;
        readonly before: Answers;
        readonly answers: Answers;
        readonly away: ReadonlySet<string>;
        readonly beganMs: number;
        agreedMs: number | undefined;
        readonly samples: Sample[];
        readonly arrived: Set<string>;
        readonly wrong: string[];
        readonly silent: Record<string, number>;
        readonly agreed: PromiseWithResolvers<number>;
      }
    | undefined;

  function note(node: string, name: string, says: string): void {
    if (open === undefined) return;
    const { answers, before, away, arrived, samples, wrong, beganMs, agreed } = open;
    const atMs = performance.now();
    samples.push({ atMs, node, name, says });
    const isNew = says === text(answers[name] ?? []);
    const isOld = before[name] !== undefined && says === text(before[name]);
    const key = `${node} ${name}`;
    if (isNew) arrived.add(key);
    else if (!isOld || (arrived.has(key) && !away.has(node)))
      wrong.push(`${Math.round(atMs - startMs)} ms: ${node} said of ${name}: ${says}`);
    const awaited = nodes.filter((each) => !away.has(each.name)).length * names.length;
    const here = [...arrived].filter((each) => !away.has(each.split(" ")[0]!)).length;
    if (here < awaited || open.agreedMs !== undefined) return;
    open.agreedMs = atMs - beganMs;
    agreed.resolve(open.agreedMs);
  }

  const askers = nodes.map(({ name: node, port }) => ({
    node,
    asker: new Asker(port, (name, says) => note(node, name, says)),
  }));
  const asking = setInterval(() => {
    for (const { node, asker } of askers) {
      const overdue = asker.overdue();
      if (open && overdue > 0 && !open.away.has(node)) open.silent[node] = (open.silent[node] ?? 0) + overdue;
      for (const name of names) asker.ask(name);
    }
  }, EVERY_MS);
  context.after(async () => {
    clearInterval(asking);
    await Promise.all(askers.map(({ asker }) => asker.close()));
  });

  function end(): void {
    if (open === undefined) return;
    const { label, agreedMs, samples, wrong, silent } = open;
    phases.push({ label, agreedMs, samples: samples.length, wrong, silent });
  }

  return {
    expect(label, answers, away = []) {
      const before = open?.answers ?? answers;
      end();
      open = {
        label,
        before,
        answers,
        away: new Set(away),
        beganMs: performance.now(),
        agreedMs: undefined,
        samples: [],
        arrived: new Set(),
        wrong: [],
        silent: {},
        agreed: Promise.withResolvers(),
      };
      return open.agreed.promise;
    },
    hold: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    finish() {
      end();
      open = undefined;
      for (const { label, agreedMs, samples, wrong, silent } of phases) {
        const unanswered = Object.entries(silent).map(([node, count]) => `${node}: ${count}`);
        context.diagnostic(
          `${label}: all agreed after ${agreedMs === undefined ? "never" : `${Math.round(agreedMs)} ms`}; ${samples} answers, ` +
            `${wrong.length} wrong${unanswered.length === 0 ? "" : `, without an answer: ${unanswered.join(", ")}`}`,
        );
      }
      assert.deepEqual(
        phases.flatMap(({ label, wrong }) => wrong.slice(0, 5).map((line) => `${label}: ${line}`)),
        [],
      );
      assert.deepEqual(
        phases.filter(({ silent }) => Object.keys(silent).length > 0).map(({ label, silent }) => ({ label, silent })),
        [],
      );
      return phases;
    },
  };
}
