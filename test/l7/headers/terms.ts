/** Requests and settings for tests of what is said of clients. */
import { createTrust } from "#l7/headers/client-address.ts";
import type { Fields, RequestHead } from "#l7/message.ts";
import type { RequestTerms } from "#l7/request-view.ts";
import type { Arrived } from "#net/arrival.ts";
import type { ForwardedSpec } from "#state/http.ts";

export const SPEC: ForwardedSpec = {
  hops: 1,
  xForwardedFor: true,
  xForwarded: true,
  xRealIp: true,
  forwarded: false,
  requestId: true,
  via: undefined,
};
export const TRUSTED = ["10.0.0.0/8", "2001:db8:1::/48"];
export const PROXY = "10.0.0.1";
export const STRANGER = "192.0.2.9";

export const settings = (forwarded: Partial<ForwardedSpec> = {}, trusted: readonly string[] = TRUSTED) => ({
  trusted,
  forwarded: { ...SPEC, ...forwarded },
});
export const headOf = (fields: Fields, change: Partial<RequestHead> = {}): RequestHead => ({
  version: "1.1",
  method: "GET",
  target: "/",
  scheme: "https",
  authority: "a.example:8443",
  fields,
  bodyOctets: 0,
  expectsContinue: false,
  upgrade: undefined,
  takesTrailers: false,
  ...change,
});
export const arrivedFrom = (address: string, own = "198.51.100.1"): Arrived => ({
  conn: undefined as never,
  source: { address, port: 40_000 },
  destination: { address: own, port: 8443 },
  tls: undefined,
  hasDeparted: false,
  depart: () => undefined,
});
export const termsOf = (spec = settings()): RequestTerms => ({
  trust: createTrust(spec),
  keepsRequestId: spec.forwarded.requestId,
  newRequestId: () => "ours",
});
