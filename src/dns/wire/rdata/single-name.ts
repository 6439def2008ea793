/**
 * Types that hold one name and nothing else: NS, CNAME, PTR (RFC 1035 §3.3), the mail types of the same RFC that
 * nobody uses any more, and DNAME (RFC 6672), which came later and must not be compressed.
 * @module
 */
import type { RdataType } from "#dns/wire/rdata/rdata-type.ts";

const singleName = (field: string, example: string, isCompressible: boolean): RdataType => ({
  example,
  parse: (from) => from.name(field),
  format: (from) => from.name(field),
  names: { at: 0, count: 1, isCompressible, isLowerInCanonicalForm: true },
});

export const ns = singleName("name server", "ns1.example.net.", true);
export const cname = singleName("canonical name", "www.example.net.", true);
export const ptr = singleName("name", "host.example.net.", true);
export const mailName = singleName("mail domain", "mail.example.net.", true);
export const dname = singleName("target", "example.net.", false);
