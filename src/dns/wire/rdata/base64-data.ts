/** Types that are octets in base64: OPENPGPKEY (RFC 7929 §2.3), DHCID (RFC 4701 §3). @module */
import type { RdataType } from "#dns/wire/rdata/rdata-type.ts";

const base64Data = (field: string, example: string): RdataType => ({
  example,
  parse: (from) => from.base64Rest(field),
  format: (from) => from.base64Rest(field, 1),
});

export const openpgpkey = base64Data("public key", "mQENBFVHm5sBCAD0l26Vn0sq");
export const dhcid = base64Data("identifier", "AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA=");
