/**
 * Certificates of ACME authorities: kept, ordered, renewed before they end.
 *
 * Owns:    when what is ordered. One order at a time; a failed one is tried again later and later, so that limits of the
 *          authority are not used up (Let's Encrypt lets five proofs of a name fail in an hour).
 * Shares:  the folder, with other nodes: who holds the lock orders, the others take what it brought.
 * @module
 */
import { readFileSync } from "node:fs";
import { acmeKey, openAcmeFolder, type StoredCertificate } from "#acme/folder.ts";
import type { AcmeProof } from "#acme/order.ts";
import type { Clock, Timer } from "#base/clock.ts";
import { createInTurn } from "#base/in-turn.ts";
import type { Rng } from "#base/rng.ts";
import type { Emit } from "#state/events.ts";
import type { AcmeSpec } from "#state/http.ts";
import type { CertificatePem } from "#tls/contexts.ts";

/** The client takes half a second and 60 MB to load: it is loaded where a certificate is wanted. */
const loadClient = () => import("#acme/order.ts");

/** What listeners show now. */
export type AcmeState = {
  /** By `acmeKey`. */
  readonly certificates: ReadonlyMap<string, CertificatePem>;
  readonly proofs: readonly { readonly key: string; readonly proof: AcmeProof }[];
};
export type AcmeStatus = {
  readonly key: string;
  readonly domains: readonly string[];
  /** Undefined: there is none yet, and a self-signed one stands in. */
  readonly notAfterMs: number | undefined;
  /** Orders that brought a certificate, and those that did not. */
  readonly issued: number;
  readonly failures: number;
  /** Of the last order; undefined: it was good. */
  readonly fault: string | undefined;
  readonly nextAtMs: number;
};

export type Acme = {
  /** Gives each a certificate to begin with: the stored one, or one that nobody trusts. */
  prepare(specs: readonly AcmeSpec[]): Promise<void>;
  /** Orders what is due, and forgets what is not among them. */
  apply(specs: readonly AcmeSpec[]): void;
  state(): AcmeState;
  status(): AcmeStatus[];
  close(): void;
};

export type AcmeOptions = {
  readonly clock: Clock;
  readonly rng: Rng;
  readonly emit: Emit;
  /** `state()` is another; resolves when all listeners show it. */
  readonly publish: () => Promise<void>;
  readonly pollMs?: number;
};

const FIRST_RETRY_MS = 300_000;
const MAX_RETRY_MS = 12 * 3_600_000;
/** The authority said that there were too many: nothing is to be had for a while. */
const LIMITED_RETRY_MS = 3_600_000;
/** How often it is looked whether another node has brought the certificate. */
const LOCKED_MS = 30_000;
/** Timers do not hold longer than 24.8 days. */
const MAX_TIMER_MS = 86_400_000;
const DEFAULT_POLL_MS = 3_000;

class Managed {
  readonly key: string;
  spec: AcmeSpec;
  stored: StoredCertificate | undefined;
  pem: CertificatePem | undefined;
  issued = 0;
  failures = 0;
  failuresInRow = 0;
  fault: string | undefined;
  nextAtMs = 0;
  timer: Timer | undefined;
  constructor(spec: AcmeSpec) {
    this.key = acmeKey(spec);
    this.spec = spec;
  }
}

/** A lifetime of six days is renewed in its last third, whatever is configured for one of ninety. */
export function renewAtMs({ notBeforeMs, notAfterMs }: StoredCertificate, renewBeforeMs: number, rng: Rng): number {
  const beforeMs = Math.min(renewBeforeMs, (notAfterMs - notBeforeMs) / 3);
  return notAfterMs - beforeMs - rng() * (beforeMs / 10); // nodes and names do not come all at once
}

export function createAcme({ clock, rng, emit, publish, pollMs = DEFAULT_POLL_MS }: AcmeOptions): Acme {
  const all = new Map<string, Managed>();
  const proofs: { key: string; proof: AcmeProof }[] = [];
  const inTurn = createInTurn();
  let isClosed = false;

  async function load(one: Managed): Promise<void> {
    const stored = openAcmeFolder(one.spec).certificate();
    if (stored !== undefined) take(one, stored);
    else if (one.pem === undefined) {
      const { createChallenge } = await loadClient();
      const { cert, key } = await createChallenge(one.spec.domains[0]!, "stands in");
      one.pem = { name: `stand-in for ${one.key}`, cert, key };
    }
  }
  function take(one: Managed, stored: StoredCertificate): void {
    one.stored = stored;
    one.pem = { name: one.key, cert: stored.cert, key: stored.key };
  }

  function schedule(one: Managed, atMs: number): void {
    one.timer?.cancel();
    one.nextAtMs = atMs;
    const waitMs = Math.max(0, atMs - clock.nowMs());
    one.timer = clock.after(Math.min(waitMs, MAX_TIMER_MS), () => {
      if (waitMs > MAX_TIMER_MS) schedule(one, atMs);
      else void inTurn(() => order(one));
    });
  }
  const isGone = (one: Managed): boolean => isClosed || all.get(one.key) !== one;

  async function order(one: Managed): Promise<void> {
    if (isGone(one)) return;
    const folder = openAcmeFolder(one.spec);
    let unlock: (() => void) | undefined;
    try {
      unlock = folder.lock(clock.nowMs());
      const stored = folder.certificate();
      if (stored !== undefined && stored.cert !== one.stored?.cert) {
        take(one, stored); // another node was first
        await publish();
        return schedule(one, renewAtMs(stored, one.spec.renewBeforeMs, rng));
      }
      if (unlock === undefined) return schedule(one, clock.nowMs() + LOCKED_MS);
      const { orderCertificate } = await loadClient();
      const { cert, key } = await orderCertificate({
        spec: one.spec,
        ca: one.spec.caFile === undefined ? undefined : readFileSync(one.spec.caFile, "utf8"),
        account: folder.account(),
        keepAccount: folder.keepAccount,
        pollMs,
        async show(proof) {
          proofs.push({ key: one.key, proof });
          await publish();
        },
        async hide(proof) {
          proofs.splice(0, proofs.length, ...proofs.filter((each) => each.proof !== proof));
          await publish();
        },
      });
      folder.keepCertificate(cert, key);
      take(one, folder.certificate()!);
      if (isGone(one)) return;
      await publish();
      succeeded(one);
    } catch (error) {
      failed(one, error instanceof Error ? error.message : String(error));
    } finally {
      unlock?.();
    }
  }

  const tell = (one: Managed, severity: "info" | "warning" | "alarm" | "resolved", says: string): void =>
    emit({ kind: "acme.order", atMs: clock.nowMs(), severity, subject: `acme/${one.key}`, says });

  function succeeded(one: Managed): void {
    const { notAfterMs } = one.stored!;
    const until = new Date(notAfterMs).toISOString().slice(0, 10);
    const wasBad = one.failuresInRow > 0;
    one.issued++;
    one.fault = undefined;
    one.failuresInRow = 0;
    tell(
      one,
      wasBad ? "resolved" : "info",
      `A certificate for ${one.spec.domains.join(", ")} is here, good until ${until}`,
    );
    schedule(one, renewAtMs(one.stored!, one.spec.renewBeforeMs, rng));
  }
  function failed(one: Managed, says: string): void {
    if (isGone(one)) return;
    one.failures++;
    one.fault = says;
    const isLimited = /rateLimited|too many|429/i.test(says);
    const capMs = Math.min(MAX_RETRY_MS, FIRST_RETRY_MS * 2 ** Math.min(one.failuresInRow++, 20));
    const waitMs = Math.max(isLimited ? LIMITED_RETRY_MS : 0, capMs / 2 + rng() * (capMs / 2));
    const leftMs = (one.stored?.notAfterMs ?? 0) - clock.nowMs();
    const severity = leftMs < 7 * 86_400_000 ? "alarm" : "warning";
    const minutes = Math.ceil(waitMs / 60_000);
    tell(one, severity, `No certificate for ${one.spec.domains.join(", ")}: ${says}; tried again in ${minutes} min`);
    schedule(one, clock.nowMs() + waitMs);
  }

  return {
    async prepare(specs) {
      for (const spec of specs) {
        const key = acmeKey(spec);
        const one = all.get(key) ?? new Managed(spec);
        if (!all.has(key)) {
          await load(one);
          all.set(key, one);
        }
      }
    },
    apply(specs) {
      const wanted = new Map(specs.map((spec) => [acmeKey(spec), spec]));
      for (const [key, one] of all) {
        const spec = wanted.get(key);
        if (spec === undefined) {
          one.timer?.cancel();
          all.delete(key);
          continue;
        }
        const isNew = one.timer === undefined;
        const isOther = JSON.stringify(spec) !== JSON.stringify(one.spec);
        one.spec = spec;
        if (!isNew && !isOther) continue;
        if (isOther) one.failuresInRow = 0; // what was wrong may have been the configuration
        schedule(one, one.stored === undefined ? clock.nowMs() : renewAtMs(one.stored, spec.renewBeforeMs, rng));
      }
    },
    state: () => ({
      certificates: new Map([...all].map(([key, one]) => [key, one.pem!])),
      proofs,
    }),
    status: () =>
      [...all.values()].map(({ key, spec, stored, issued, failures, fault, nextAtMs }) => ({
        key,
        domains: spec.domains,
        notAfterMs: stored?.notAfterMs,
        issued,
        failures,
        fault,
        nextAtMs,
      })),
    close() {
      isClosed = true;
      for (const { timer } of all.values()) timer?.cancel();
    },
  };
}
