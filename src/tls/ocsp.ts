/**
 * OCSP (RFC 6960): the question about one certificate, and what may be believed of the answer.
 *
 * Rule:    an answer is stapled only if it is of this certificate, says `good`, is in date, and its signature is that of the
 *          issuer, or of somebody whom the issuer let sign such answers (§4.2.2.2). Clients look as well; a wrong staple
 *          would turn them away from a good certificate.
 * Never:   fetches: `app/balancer/stapler.ts` does.
 * @module
 */
import { createHash, verify, X509Certificate } from "node:crypto";
import { contentOf, DerFault, type Element, readAll, readTime, TAG, within, write } from "#tls/der.ts";

export type OcspQuestion = {
  /** SHA-256 of the certificate, lower-case hex. */
  readonly certificate: string;
  readonly responder: string;
  /** DER, to be sent by POST as `application/ocsp-request`. */
  readonly request: Uint8Array;
  readonly id: CertificateId;
  readonly issuer: X509Certificate;
};
type CertificateId = { readonly nameHash: Buffer; readonly keyHash: Buffer; readonly serial: Buffer };

export type OcspAnswer =
  | { readonly kind: "good"; readonly thisUpdateMs: number; readonly nextUpdateMs: number }
  | { readonly kind: "revoked" }
  | { readonly kind: "fault"; readonly says: string };

/** An answer without `nextUpdate` says that newer ones can be had at any time: it is kept for so long. */
const UNDATED_MS = 3_600_000;
/** Clocks of others. */
const SKEW_MS = 300_000;
/** `SEQUENCE { OID 1.3.14.3.2.26, NULL }`: SHA-1 here names a certificate and proves nothing; all responders know it (RFC 5019 §2.1.1). */
const SHA1 = Buffer.from("300906052b0e03021a0500", "hex");
const BASIC_RESPONSE = Buffer.from("2b0601050507300101", "hex");
const OCSP_SIGNING = "1.3.6.1.5.5.7.3.9";

/** Hash of each signature algorithm, by its object identifier; `null`: the key says it. */
const SIGNATURES: Readonly<Record<string, string | null>> = {
  "2a864886f70d01010b": "sha256",
  "2a864886f70d01010c": "sha384",
  "2a864886f70d01010d": "sha512",
  "2a8648ce3d040302": "sha256",
  "2a8648ce3d040303": "sha384",
  "2a8648ce3d040304": "sha512",
  "2b6570": null,
};

/** Status names of an answer without an answer (§4.2.1). */
const STATUSES = [
  "successful",
  "malformed request",
  "internal error",
  "try later",
  "",
  "signature required",
  "unauthorized",
];

/**
 * @param chain PEM, the leaf first
 * @returns a text that says why there is no question; undefined: the certificate names no responder
 */
export function ocspQuestion(chain: string): OcspQuestion | string | undefined {
  const [leaf, ...others] = splitPems(chain).map((pem) => new X509Certificate(pem));
  const responder = /^OCSP - URI:(\S+)$/m.exec(leaf?.infoAccess ?? "")?.[1];
  if (leaf === undefined || responder === undefined) return undefined;
  if (!/^https?:\/\//.test(responder)) return `cannot ask a responder at ${responder}`;
  const issuer = others.find((other) => leaf.checkIssued(other));
  if (issuer === undefined) return "the certificate of its issuer does not follow it in the file";
  const sha1 = (octets: Buffer): Buffer => createHash("sha1").update(octets).digest();
  const { serial, issuerName } = partsOf(leaf.raw);
  const id = { nameHash: sha1(issuerName), keyHash: sha1(partsOf(issuer.raw).publicKey), serial };
  const certId = write(
    TAG.sequence,
    SHA1,
    write(TAG.octetString, id.nameHash),
    write(TAG.octetString, id.keyHash),
    write(TAG.integer, id.serial),
  );
  const list = write(TAG.sequence, write(TAG.sequence, certId));
  return {
    certificate: createHash("sha256").update(leaf.raw).digest("hex"),
    responder,
    request: new Uint8Array(write(TAG.sequence, write(TAG.sequence, list))),
    id,
    issuer,
  };
}

const splitPems = (chain: string): string[] =>
  chain.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];

/** Of a certificate (RFC 5280 §4.1). */
function partsOf(certificate: Buffer): { serial: Buffer; issuerName: Buffer; publicKey: Buffer } {
  const [tbs] = within(readAll(certificate)[0]);
  const fields = within(tbs);
  const from = fields[0]!.tag === TAG.context0 ? 1 : 0; // the version
  const [, key] = within(fields[from + 5]);
  return {
    serial: contentOf(fields[from], TAG.integer),
    issuerName: fields[from + 2]!.whole,
    publicKey: contentOf(key, TAG.bitString).subarray(1), // without the number of unused bits
  };
}

/** Does not throw: `response` is what somebody sent. */
export function readOcspAnswer(question: OcspQuestion, response: Uint8Array, nowMs: number): OcspAnswer {
  try {
    return judge(question, Buffer.from(response), nowMs);
  } catch (error) {
    return { kind: "fault", says: `the answer cannot be read: ${(error as Error).message}` };
  }
}

function judge(question: OcspQuestion, response: Buffer, nowMs: number): OcspAnswer {
  const fault = (says: string): OcspAnswer => ({ kind: "fault", says });
  const [status, bytes] = within(readAll(response)[0]);
  const code = contentOf(status, TAG.enumerated)[0]!;
  if (code !== 0) return fault(`the responder says: ${STATUSES[code] ?? code}`);
  const [type, basic] = within(within(bytes, TAG.context0)[0]);
  if (!contentOf(type, TAG.oid).equals(BASIC_RESPONSE)) return fault("the answer is of an unknown type");
  const [data, algorithm, signature, certificates] = within(readAll(contentOf(basic, TAG.octetString))[0]);
  if (data === undefined) throw new DerFault("empty");
  const fields = within(data).filter(({ tag }) => tag === TAG.sequence);
  const single = within(fields[0])
    .map((each) => within(each))
    .find(([id]) => isSame(within(id), question.id));
  if (single === undefined) return fault("the answer is of another certificate");
  const signed = {
    octets: data.whole,
    algorithm: within(algorithm)[0],
    signature: contentOf(signature, TAG.bitString),
  };
  if (!isSigned(signed, certificates, question.issuer, nowMs)) return fault("the signature is not that of its issuer");

  const [, certStatus, thisUpdate, next] = single;
  const thisUpdateMs = readTime(thisUpdate);
  const nextUpdateMs = next?.tag === TAG.context0 ? readTime(readAll(next.content)[0]) : nowMs + UNDATED_MS;
  if (thisUpdateMs > nowMs + SKEW_MS || nextUpdateMs <= nowMs) return fault("the answer is not in date");
  if (certStatus?.tag === 0xa1) return { kind: "revoked" };
  if (certStatus?.tag !== 0x80) return fault("the responder does not know the certificate");
  return { kind: "good", thisUpdateMs, nextUpdateMs };
}

const isSame = ([, name, key, serial]: Element[], id: CertificateId): boolean =>
  contentOf(name, TAG.octetString).equals(id.nameHash) &&
  contentOf(key, TAG.octetString).equals(id.keyHash) &&
  contentOf(serial, TAG.integer).equals(id.serial);

function isSigned(
  { octets, algorithm, signature }: { octets: Buffer; algorithm: Element | undefined; signature: Buffer },
  certificates: Element | undefined,
  issuer: X509Certificate,
  nowMs: number,
): boolean {
  const hash = SIGNATURES[contentOf(algorithm, TAG.oid).toString("hex")];
  if (hash === undefined) return false;
  const delegated = certificates === undefined ? [] : within(within(certificates, TAG.context0)[0]);
  const signers = [
    issuer,
    ...delegated
      .map(({ whole }) => new X509Certificate(whole))
      .filter(
        (one) =>
          one.checkIssued(issuer) &&
          one.verify(issuer.publicKey) &&
          (one.keyUsage ?? []).includes(OCSP_SIGNING) &&
          one.validFromDate.getTime() <= nowMs &&
          one.validToDate.getTime() > nowMs,
      ),
  ];
  return signers.some(({ publicKey }) => verify(hash, octets, publicKey, signature.subarray(1)));
}
