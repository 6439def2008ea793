/**
 * The shapes of what HTTP and TLS add to the balancer's API: cache, rules, certificates. Their words are those of
 * `schemas-balancer.ts`.
 * @module
 */
import { z } from "zod";

const text = z.string();
const time = text.describe("RFC 3339");
const count = z.number().int().min(0);

export const cacheSchema = z
  .object({
    store: text,
    objects: count,
    octets: count.describe("With what each object costs beside its body"),
    max_octets: count,
    hits: count.describe("Stale ones too"),
    stale: count.describe("Hits that were stale"),
    misses: count,
    revalidated: count.describe("Stored responses that a 304 confirmed"),
    passed: count.describe("Requests that went to a backend without the cache"),
    stored: count,
    evicted: count,
    purged: count,
    waited: count.describe("Requests that waited for another one to fetch the same"),
  })
  .describe("Summed over the workers, each of which has its own memory; counted since they began")
  .meta({ id: "Cache" });

const part = z.string().min(1).max(8_192);
export const purgeSchema = z
  .strictObject({
    store: z.string().min(1).max(63).optional(),
    url: part.optional().describe("`http://host/path?query`, exactly: all variants of it"),
    prefix: part.optional().describe("Start of that text, such as `http://host/static/`"),
    tag: part.optional().describe("One of those in the response's Surrogate-Key or Cache-Tag"),
    all: z.literal(true).optional().describe("Everything; stands alone"),
  })
  .refine(({ all, ...what }) => (all === true) !== Object.values(what).some((value) => value !== undefined), {
    error: "Say what: at least one of store, url, prefix and tag, all of which must hold; or all: true alone",
  })
  .meta({ id: "Purge" });

export const purgedSchema = z
  .object({ purged: count.describe("Responses that were dropped, over all workers"), says: text })
  .meta({ id: "Purged" });

const share = z.object({ pool: text, weight: z.number() });
export const ruleSchema = z
  .object({
    listener: text,
    order: z.number().int().min(1).describe("Rules are asked in this order; the first that matches has the request"),
    name: text,
    match: z
      .array(text)
      .describe("All must hold; none: every request. Values of fields, cookies and claims are left out"),
    action: z.object({
      kind: z.enum(["pool", "split", "redirect", "respond"]),
      pools: z.array(share).describe("Where requests go"),
      status: z.number().nullable().describe("Of a redirect or a reply"),
      says: text,
    }),
    guards: z
      .array(z.enum(["access", "waf", "rate-limit", "basic-auth", "jwt", "forward-auth"]))
      .describe("What may refuse the request, in this order"),
    mirror: z.object({ pool: text, percent: z.number() }).nullable(),
    cache: text.nullable().describe("Its store"),
    compression: z.array(text),
  })
  .meta({ id: "Rule" });

export const certificatesSchema = z
  .object({
    certificates: z.array(
      z.object({
        listener: text,
        certificate: text.describe("Its file, or what it is called at the ACME authority's folder"),
        names: z.array(text),
        issuer: text,
        not_after: time,
        staple: z
          .enum(["none", "missing", "good"])
          .describe("OCSP. none: not wanted, or the certificate names no responder; missing: no answer in date"),
      }),
    ),
    acme: z.array(
      z.object({
        certificate: text,
        domains: z.array(text),
        not_after: time.nullable().describe("Null: none yet, and a self-signed one stands in"),
        issued: count.describe("Orders that brought a certificate"),
        failures: count,
        fault: text.nullable().describe("Of the last order"),
        next_at: time.describe("When it is ordered next"),
      }),
    ),
  })
  .meta({ id: "Certificates" });
