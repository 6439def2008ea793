/**
 * One certificate of an ACME authority (RFC 8555): account, order, proofs, certificate. The protocol is acme-client's.
 *
 * Never:   keeps anything, or decides when. Proofs are handed to who can show them.
 * @module
 */
import { Agent, get } from "node:https";
import { rootCertificates } from "node:tls";
import { axios, Client, crypto } from "acme-client";
import type { StoredAccount } from "#acme/folder.ts";
import type { AcmeSpec } from "#state/http.ts";
import type { ChallengeCertificate } from "#tls/contexts.ts";

/** What the authority is to see at a domain. */
export type AcmeProof =
  | { readonly kind: "http-01"; readonly domain: string; readonly token: string; readonly answer: string }
  | ({ readonly kind: "tls-alpn-01" } & ChallengeCertificate);

export type AcmeOrder = {
  readonly spec: AcmeSpec;
  /** PEM of the authorities that `spec.caFile` names. */
  readonly ca: string | undefined;
  readonly account: StoredAccount | undefined;
  keepAccount(account: StoredAccount): void;
  /** Resolves when everybody who may be asked shows it. */
  show(proof: AcmeProof): Promise<void>;
  hide(proof: AcmeProof): Promise<void>;
  /** Between looks at what the authority has done, at least. */
  readonly pollMs: number;
};

const REQUEST_TIMEOUT_MS = 30_000;
const POLLS = 20;

/** @returns PEM of chain and key. Rejects with what the authority or the network says */
export async function orderCertificate(order: AcmeOrder): Promise<{ readonly cert: string; readonly key: string }> {
  const { spec, ca } = order;
  const agent = new Agent({ keepAlive: true, ...(ca === undefined ? {} : { ca: [ca, ...rootCertificates] }) });
  // The client's axios is one for all: orders come in turn. Tries again are ours, which know of other nodes and of limits.
  axios.defaults.httpsAgent = agent;
  axios.defaults.timeout = REQUEST_TIMEOUT_MS;
  Object.assign((axios.defaults as { acmeSettings?: object }).acmeSettings!, { retryMaxAttempts: 0 });
  try {
    await lookAtDirectory(spec.directory, agent);
    return await run(order);
  } finally {
    agent.destroy();
  }
}

async function run(order: AcmeOrder): Promise<{ readonly cert: string; readonly key: string }> {
  const { spec, pollMs } = order;
  const accountKey = order.account?.key ?? (await crypto.createPrivateEcdsaKey()).toString();
  if (order.account === undefined) order.keepAccount({ key: accountKey, url: undefined });
  const client = new Client({
    directoryUrl: spec.directory,
    accountKey,
    ...(order.account?.url === undefined ? {} : { accountUrl: order.account.url }),
    backoffAttempts: POLLS,
    backoffMin: pollMs,
    backoffMax: pollMs * 6,
  });
  if (order.account?.url === undefined) {
    const contact = spec.email === undefined ? {} : { contact: [`mailto:${spec.email}`] };
    await client.createAccount({ termsOfServiceAgreed: true, ...contact });
    order.keepAccount({ key: accountKey, url: client.getAccountUrl() }); // also where the order then fails
  }
  const [key, csr] = await crypto.createCsr(
    { commonName: spec.domains[0]!, altNames: [...spec.domains] },
    await crypto.createPrivateEcdsaKey(),
  );
  const proofs = new Map<string, AcmeProof>();
  const cert = await client.auto({
    csr,
    skipChallengeVerification: true, // this host may not reach its own public address
    challengePriority: [spec.challenge],
    async challengeCreateFn({ identifier }, { type, token }, answer) {
      const domain = identifier.value;
      if (type !== spec.challenge) throw new Error(`the authority offers no ${spec.challenge} for ${domain}`);
      const proof =
        type === "http-01"
          ? { kind: type, domain, token, answer }
          : { kind: "tls-alpn-01" as const, ...(await createChallenge(domain, answer)) };
      proofs.set(domain, proof);
      await order.show(proof);
    },
    async challengeRemoveFn({ identifier }) {
      const proof = proofs.get(identifier.value);
      if (proof !== undefined) await order.hide(proof);
    },
  });
  return { cert, key: key.toString() };
}

/** Self-signed, with the answer in an extension that clients must know (RFC 8737 §3). */
export async function createChallenge(domain: string, answer: string): Promise<ChallengeCertificate> {
  const identifier = { type: "dns", value: domain };
  const [key, cert] = await crypto.createAlpnCertificate(
    { identifier } as unknown as Parameters<typeof crypto.createAlpnCertificate>[0],
    answer,
    await crypto.createPrivateEcdsaKey(),
  );
  return { domain, cert: cert.toString(), key: key.toString() };
}

/** Says in plain words that the authority is away: acme-client does not. */
function lookAtDirectory(url: string, agent: Agent): Promise<void> {
  return new Promise((resolve, reject) => {
    const request = get(url, { agent, timeout: REQUEST_TIMEOUT_MS }, (response) => {
      response.resume();
      response.once("end", () => {
        if (response.statusCode === 200) resolve();
        else reject(new Error(`${url} answers ${response.statusCode}`));
      });
    });
    request.once("timeout", () => request.destroy(new Error(`${url} does not answer`)));
    request.once("error", reject);
  });
}
