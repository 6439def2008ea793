/**
 * Asks every node the same questions all the time, and writes down what they say: who gave a wrong or an empty answer, and how
 * long it took until all agreed.
 *
 * A phase begins with `during()`. A node may answer as in the phase in which it was last seen or as in a later one, and never
 * go back; those that are `away` in a phase need not arrive in it. Everything else is wrong.
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
  /**
   * Does something, after which each name is to say this, at all nodes that are not `away`.
   * @param also what else may be said meanwhile
   * @returns when they do: how long it took, in ms
   */
  during(
    label: string,
    answers: Answers,
    work: () => unknown,
    away?: readonly string[],
    also?: Answers,
  ): Promise<number>;
  /** Goes on as it is for so long. */
  hold(ms: number): Promise<void>;
  /** No wrong and no empty answer, in no phase; prints a line for each. */
  finish(): readonly Phase[];
};

const text = (addresses: readonly string[]): string => [...addresses].sort().join(" ") || "empty";

export type Asker = {
  ask(name: string, phase: number): void;
  /** @returns in which phases those questions were asked that nobody has answered in time */
  overdue(): readonly number[];
  close(): Promise<void>;
};
/** Asks one node for A records. @param onAnswer gets the addresses, in order, or the rcode, or "truncated" */
export const createAsker = (port: number, onAnswer: (name: string, says: string) => void): Asker =>
  new UdpAsker(port, onAnswer);

class UdpAsker implements Asker {
  readonly #socket: Socket;
  readonly #waiting = new Map<number, { readonly name: string; readonly atMs: number; readonly phase: number }>();
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
      if (header.tc === 1) onAnswer(asked.name, "truncated");
      else onAnswer(asked.name, header.rcode === 0 ? text(addresses) : `rcode ${header.rcode}`);
    });
  }

  ask(name: string, phase: number): void {
    this.#id = (this.#id + 1) & 0xffff;
    this.#waiting.set(this.#id, { name, atMs: performance.now(), phase });
    this.#socket.send(encodeQuery(parseName(name) as Uint8Array, TYPE.A, { id: this.#id }), this.#port, "127.0.0.1");
  }

  overdue(): readonly number[] {
    const limitMs = performance.now() - PATIENCE_MS;
    const late = [...this.#waiting].filter(([, { atMs }]) => atMs <= limitMs);
    for (const [id] of late) this.#waiting.delete(id);
    return late.map(([, { phase }]) => phase);
  }

  async close(): Promise<void> {
    const closed = once(this.#socket, "close");
    this.#socket.close();
    await closed;
  }
}

type OpenPhase = {
  readonly label: string;
  readonly answers: Answers;
  readonly away: ReadonlySet<string>;
  readonly also: Answers;
  readonly beganMs: number;
  agreedMs: number | undefined;
  samples: number;
  readonly arrived: Set<string>;
  readonly wrong: string[];
  readonly silent: Record<string, number>;
  readonly agreed: PromiseWithResolvers<number>;
};

/** @param names absolute, without the last dot */
export function recordAnswers(
  context: Pick<TestContext, "after" | "diagnostic">,
  nodes: readonly { readonly name: string; readonly port: number }[],
  names: readonly string[],
): Recorder {
  const startMs = performance.now();
  const phases: OpenPhase[] = [];
  /** By node and name: the phase as of which it answers. */
  const seenIn = new Map<string, number>();

  function note(node: string, name: string, says: string): void {
    const now = phases.at(-1);
    if (now === undefined) return;
    const atMs = performance.now();
    now.samples++;
    const key = `${node} ${name}`;
    const from = seenIn.get(key) ?? 0;
    const phase = phases.findIndex(({ answers }, index) => index >= from && says === text(answers[name] ?? []));
    if (phase === -1 && now.also[name] && says === text(now.also[name])) return;
    if (phase === -1) now.wrong.push(`${Math.round(atMs - startMs)} ms: ${node} said of ${name}: ${says}`);
    else seenIn.set(key, phase);
    if (says !== text(now.answers[name] ?? [])) return;
    now.arrived.add(key);
    if (!now.away.has(node)) seenIn.set(key, phases.length - 1);
    const isAwaited = (each: string): boolean => !now.away.has(each);
    const awaited = nodes.filter((each) => isAwaited(each.name)).length * names.length;
    const here = [...now.arrived].filter((each) => isAwaited(each.split(" ")[0]!)).length;
    if (here < awaited || now.agreedMs !== undefined) return;
    now.agreedMs = atMs - now.beganMs;
    now.agreed.resolve(now.agreedMs);
  }

  const askers = nodes.map(({ name: node, port }) => ({
    node,
    asker: createAsker(port, (name, says) => note(node, name, says)),
  }));
  const asking = setInterval(() => {
    for (const { node, asker } of askers) {
      for (const index of asker.overdue()) {
        const phase = phases[index];
        // Who was asked, and taken away before it could answer, has not kept silent.
        const isExcused = phases.slice(index).some(({ away }) => away.has(node));
        if (phase && !isExcused) phase.silent[node] = (phase.silent[node] ?? 0) + 1;
      }
      for (const name of names) asker.ask(name, phases.length - 1);
    }
  }, EVERY_MS);
  context.after(async () => {
    clearInterval(asking);
    await Promise.all(askers.map(({ asker }) => asker.close()));
  });

  return {
    async during(label, answers, work, away = [], also = {}) {
      const phase: OpenPhase = {
        label,
        answers,
        away: new Set(away),
        also,
        beganMs: performance.now(),
        agreedMs: undefined,
        samples: 0,
        arrived: new Set(),
        wrong: [],
        silent: {},
        agreed: Promise.withResolvers(),
      };
      phases.push(phase);
      await work();
      return phase.agreed.promise;
    },
    hold: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    finish() {
      clearInterval(asking);
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
