/** How tests that are about something else meet clients under TLS. */
import type { TlsTerms } from "#net/driver.ts";
import { createTlsContexts } from "#tls/contexts.ts";
import { without } from "../system/tools.ts";
import { makeCertificate } from "../tls/certificates.ts";

/** Undefined where the certificate cannot be made. */
export const TLS_TERMS: TlsTerms | undefined = without("openssl")
  ? undefined
  : {
      contexts: createTlsContexts({
        listener: "web",
        certificates: [makeCertificate("one.example")],
        tickets: { secret: new Uint8Array(32), rotateMs: 3_600_000 },
      }),
      alpn: [],
      timeoutMs: 10_000,
    };
