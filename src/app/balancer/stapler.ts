/**
 * Asks the responders that certificates name (OCSP), and keeps what may be stapled.
 *
 * Owns:    one answer a certificate, renewed at half of its life. A responder that is away costs nothing but a warning: the
 *          last answer is stapled as long as it is in date, then none.
 * @module
 */
import type { Clock, Timer } from "#base/clock.ts";
import type { Rng } from "#base/rng.ts";
import type { Emit } from "#state/events.ts";
import type { CertificatePem } from "#tls/contexts.ts";
import { type OcspQuestion, ocspQuestion, readOcspAnswer } from "#tls/ocsp.ts";

export type Stapler = {
  /** Those whose answers are wanted from now on. */
  follow(certificates: readonly CertificatePem[]): void;
  /** DER by SHA-256 of the certificate; those in date. */
  staples(): ReadonlyMap<string, Uint8Array>;
  close(): void;
};
export type StaplerOptions = {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly emit: Emit;
  /** `staples()` is another. */
  readonly onChange: () => void;
};

const REQUEST_TIMEOUT_MS = 10_000;
/** Most are 500 octets to 2 KiB. */
const MAX_ANSWER_OCTETS = 65_536;
const MIN_WAIT_MS = 60_000;
const MAX_WAIT_MS = 12 * 3_600_000;

class Followed {
  readonly question: OcspQuestion;
  readonly name: string;
  staple: { readonly octets: Uint8Array; readonly untilMs: number } | undefined;
  failures = 0;
  isBad = false;
  timer: Timer | undefined;
  constructor(question: OcspQuestion, name: string) {
    this.question = question;
    this.name = name;
  }
}

export function createStapler({ clock, rng, emit, onChange }: StaplerOptions): Stapler {
  const all = new Map<string, Followed>();
  /** What was found of each chain. */
  let questions = new Map<string, OcspQuestion | undefined>();
  let isClosed = false;

  const tell = (name: string, severity: "warning" | "alarm" | "resolved", says: string): void =>
    emit({ kind: "tls.staple", atMs: clock.nowMs(), severity, subject: name, says });

  async function ask(one: Followed): Promise<void> {
    const { question, name } = one;
    let octets: Uint8Array | undefined;
    let fault = "";
    try {
      octets = await fetchAnswer(question);
    } catch (error) {
      fault = messageOf(error);
    }
    if (isClosed || all.get(question.certificate) !== one) return;
    const nowMs = clock.nowMs();
    const answer =
      octets === undefined ? { kind: "fault" as const, says: fault } : readOcspAnswer(question, octets, nowMs);
    if (answer.kind === "good") {
      one.staple = { octets: octets!, untilMs: answer.nextUpdateMs };
      one.failures = 0;
      if (one.isBad) tell(name, "resolved", `The responder of ${name} answers again`);
      one.isBad = false;
      const halfMs = (answer.thisUpdateMs + answer.nextUpdateMs) / 2;
      const jitterMs = rng() * (answer.nextUpdateMs - halfMs) * 0.1;
      wait(one, halfMs - nowMs + jitterMs);
      onChange();
      return;
    }
    const waitMs = MIN_WAIT_MS * 2 ** Math.min(one.failures++, 10);
    if (answer.kind === "revoked") {
      one.staple = undefined; // clients find out by themselves, if they look
      if (!one.isBad) tell(name, "alarm", `${name} is revoked by its authority: clients refuse it. Replace it`);
    } else if (!one.isBad)
      tell(name, "warning", `No OCSP answer for ${name} from ${question.responder}: ${answer.says}`);
    one.isBad = true;
    const isOver = one.staple !== undefined && one.staple.untilMs <= nowMs + waitMs;
    wait(one, isOver ? Math.max(MIN_WAIT_MS, one.staple!.untilMs - nowMs) : waitMs);
    onChange();
  }
  function wait(one: Followed, waitMs: number): void {
    one.timer?.cancel();
    one.timer = clock.after(Math.min(Math.max(waitMs, MIN_WAIT_MS), MAX_WAIT_MS), () => void ask(one));
  }

  function questionOf({ name, cert }: CertificatePem): OcspQuestion | undefined {
    if (questions.has(cert)) return questions.get(cert);
    const question = ocspQuestion(cert);
    if (typeof question !== "string") return question;
    tell(name, "warning", `No OCSP answer for ${name}: ${question}`);
    return undefined;
  }

  return {
    follow(certificates) {
      const wanted = new Set<string>();
      const found = new Map<string, OcspQuestion | undefined>();
      for (const pem of certificates) {
        const question = questionOf(pem);
        found.set(pem.cert, question);
        if (question === undefined) continue;
        wanted.add(question.certificate);
        if (all.has(question.certificate)) continue;
        const one = new Followed(question, pem.name);
        all.set(question.certificate, one);
        void ask(one);
      }
      questions = found;
      for (const [key, one] of all) {
        if (wanted.has(key)) continue;
        one.timer?.cancel();
        all.delete(key);
        if (one.isBad) tell(one.name, "resolved", `${one.name} is not served any more`);
      }
    },
    staples() {
      const nowMs = clock.nowMs();
      return new Map(
        [...all].flatMap(([key, { staple }]) =>
          staple !== undefined && staple.untilMs > nowMs ? [[key, staple.octets] as const] : [],
        ),
      );
    },
    close() {
      isClosed = true;
      for (const { timer } of all.values()) timer?.cancel();
    },
  };
}

async function fetchAnswer({ responder, request }: OcspQuestion): Promise<Uint8Array> {
  const response = await fetch(responder, {
    method: "POST",
    headers: { "content-type": "application/ocsp-request", accept: "application/ocsp-response" },
    body: Buffer.from(request),
    redirect: "error",
    signal: AbortSignal.timeout(REQUEST_TIMEOUT_MS),
  });
  if (!response.ok) throw new Error(`it answers ${response.status}`);
  const chunks: Uint8Array[] = [];
  let octets = 0;
  for await (const chunk of response.body ?? []) {
    octets += chunk.length;
    if (octets > MAX_ANSWER_OCTETS) throw new Error(`its answer is longer than ${MAX_ANSWER_OCTETS} octets`);
    chunks.push(chunk);
  }
  return new Uint8Array(Buffer.concat(chunks));
}

/** `fetch failed` has its cause beside it. */
function messageOf(error: unknown): string {
  const { message, cause } = error as Error;
  const inner = cause instanceof Error ? cause.message || (cause as NodeJS.ErrnoException).code : undefined;
  return inner === undefined ? message : `${message}: ${inner}`;
}
