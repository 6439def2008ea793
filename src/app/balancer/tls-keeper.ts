/**
 * What TLS towards clients needs beside files: certificates of ACME, OCSP answers, and a look at when certificates end.
 *
 * Owns:    who is told what of certificates. What was fetched goes to the workers through the engine.
 * @module
 */
import { type Acme, type AcmeStatus, createAcme } from "#acme/create-acme.ts";
import { acmeKey } from "#acme/folder.ts";
import type { BalancerEngine, FetchedTls } from "#app/balancer/engine.ts";
import { createStapler } from "#app/balancer/stapler.ts";
import { certificatesOf } from "#app/balancer/tls-material.ts";
import type { Clock, Timer } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import type { Rng } from "#base/rng.ts";
import type { BalancerSnapshot } from "#state/balancer.ts";
import type { Emit } from "#state/events.ts";
import type { AcmeSpec } from "#state/http.ts";
import type { CertificatePem, ChallengeCertificate } from "#tls/contexts.ts";
import { type CertificateFacts, certificateFacts, expiryStep } from "#tls/expiry.ts";

export type CertificateView = {
  readonly listener: string;
  readonly certificate: string;
  readonly names: readonly string[];
  readonly issuer: string;
  readonly notAfterMs: number;
  /** `none`: not wanted, or it names no responder. */
  readonly staple: "none" | "missing" | "good";
};

export type TlsKeeper = {
  /** Before the engine takes the snapshot: each listener has a certificate then. */
  prepare(snapshot: BalancerSnapshot): Promise<void>;
  /** After it did. */
  apply(snapshot: BalancerSnapshot): void;
  /** Of the listeners that are served, without those that stand in until an authority has answered. */
  certificates(): readonly CertificateView[];
  acme(): AcmeStatus[];
  close(): void;
};

type ShownCertificate = Omit<CertificateView, "staple"> & CertificateFacts & { readonly wantsStaple: boolean };

const LOOK_MS = 3_600_000;
const STAPLE_MS = 250;
const SEVERITIES = ["resolved", "warning", "warning", "alarm", "alarm"] as const;

export function createTlsKeeper(options: {
  readonly engine: Pick<BalancerEngine, "setTls" | "tls" | "snapshot">;
  readonly clock: Clock;
  readonly rng: Rng;
  readonly log: Log;
  readonly emit: Emit;
}): TlsKeeper {
  const { engine, clock, rng, log, emit } = options;
  /** Whose certificates the keys of ACME are. */
  let specs = new Map<string, AcmeSpec>();
  let timer: Timer | undefined;
  let shown: readonly ShownCertificate[] = [];
  /** The step that was told, by certificate. */
  const steps = new Map<string, number>();

  const acme: Acme = createAcme({ clock, rng, emit, publish });
  const stapler = createStapler({ clock, rng, emit, onChange: staple });
  let stapling: Timer | undefined;
  /** Answers come in bursts, at the start at least; each time all workers are told. */
  function staple(): void {
    stapling?.cancel();
    stapling = clock.after(STAPLE_MS, () => void publishStaples());
  }
  async function publishStaples(): Promise<void> {
    try {
      await engine.setTls(fetched());
    } catch (error) {
      log.warn({ error: String(error) }, "OCSP answers could not be given to the workers");
    }
  }

  function fetched(): FetchedTls {
    const { certificates, proofs } = acme.state();
    const issued: Record<string, CertificatePem> = {};
    const http: Record<string, string> = {};
    const alpn: Record<string, ChallengeCertificate[]> = {};
    for (const [listener, spec] of specs) {
      const key = acmeKey(spec);
      const pem = certificates.get(key);
      if (pem !== undefined) issued[listener] = pem;
      for (const { proof } of proofs.filter((one) => one.key === key))
        if (proof.kind === "tls-alpn-01") alpn[listener] = [...(alpn[listener] ?? []), proof];
    }
    for (const { proof } of proofs) if (proof.kind === "http-01") http[proof.token] = proof.answer;
    return { staples: stapler.staples(), issued, challenges: { http, alpn } };
  }
  /** Rejects where the workers cannot take it: the authority is not told to look then. */
  async function publish(): Promise<void> {
    await engine.setTls(fetched());
    look();
  }

  const acmeOf = (snapshot: BalancerSnapshot): Map<string, AcmeSpec> =>
    new Map(snapshot.listeners.flatMap(({ name, tls }) => (tls?.acme ? [[name, tls.acme] as const] : [])));

  function look(): void {
    const [snapshot, material] = [engine.snapshot(), engine.tls()];
    if (snapshot === undefined || material === undefined) return;
    const standIns = new Set(
      acme
        .status()
        .filter((one) => one.notAfterMs === undefined)
        .map(({ key }) => acme.state().certificates.get(key)),
    );
    const ending = snapshot.listeners.filter(({ tls }) => tls !== undefined);
    const served = ending.flatMap((listener) =>
      certificatesOf(listener, material)
        .filter((pem) => !standIns.has(pem))
        .map((pem) => ({ listener, pem })),
    );
    stapler.follow(served.flatMap(({ listener, pem }) => (listener.tls!.staples ? [pem] : [])));
    shown = served.map(({ listener, pem }) => ({
      listener: listener.name,
      certificate: pem.name,
      wantsStaple: listener.tls!.staples,
      ...certificateFacts(pem.cert),
    }));
    for (const { listener, certificate, notAfterMs } of shown)
      tellEnd(`${listener}/${certificate}`, certificate, notAfterMs);
  }
  function tellEnd(subject: string, certificate: string, endMs: number): void {
    const nowMs = clock.nowMs();
    const step = expiryStep(endMs, nowMs);
    const before = steps.get(subject) ?? 0;
    steps.set(subject, step);
    if (step === before || (step > 0 && step < before)) return;
    const day = new Date(endMs).toISOString().slice(0, 10);
    const says =
      step === 0
        ? `${certificate} is good until ${day}`
        : `${certificate} ${endMs <= nowMs ? "ended" : "ends"} on ${day}: renew it, the new file is taken up by itself`;
    emit({ kind: "tls.certificate-expiring", atMs: nowMs, severity: SEVERITIES[step]!, subject, says });
  }
  function lookAgain(): void {
    look();
    timer = clock.after(LOOK_MS, lookAgain);
  }

  return {
    async prepare(snapshot) {
      const next = acmeOf(snapshot);
      if (next.size === 0 && specs.size === 0) return;
      await acme.prepare([...next.values()]);
      const before = specs;
      specs = new Map([...specs, ...next]); // those that leave are still served until the engine has taken it
      if (JSON.stringify([...before]) !== JSON.stringify([...specs])) await publish();
    },
    apply(snapshot) {
      specs = acmeOf(snapshot);
      acme.apply([...specs.values()]);
      timer?.cancel();
      lookAgain();
    },
    certificates() {
      const staples = stapler.staples();
      return shown.map(({ wantsStaple, sha256, hasResponder, ...view }) => ({
        ...view,
        staple: !wantsStaple || !hasResponder ? "none" : staples.has(sha256) ? "good" : "missing",
      }));
    },
    acme: () => acme.status(),
    close() {
      timer?.cancel();
      stapling?.cancel();
      acme.close();
      stapler.close();
    },
  };
}
