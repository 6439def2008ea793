/**
 * What backends are told of the client: X-Forwarded-*, Forwarded (RFC 7239), X-Real-IP, X-Request-ID, Via.
 *
 * Owns:    rule R39: what peers that are not trusted say of it is taken out, whether or not we say it ourselves.
 * @module
 */
import { createTrust, type Trust } from "#l7/headers/client-address.ts";
import type { Fields } from "#l7/message.ts";
import type { HttpRequest } from "#l7/request.ts";
import type { HttpSpec } from "#state/http.ts";

export type Forwarded = {
  /** Whether backends are told a request's id, which is all that differs between requests with the same fields. */
  readonly sendsId: boolean;
  /** Works on the fields of the request that goes to the backend, in place. */
  edit(fields: Fields, request: Pick<HttpRequest, "head" | "arrived" | "client" | "requestId">): void;
};

/** Compiled once for a listener's settings. @param trust of the same settings */
export function createForwarded(
  spec: Pick<HttpSpec, "trusted" | "forwarded">,
  trust: Trust = createTrust(spec),
): Forwarded {
  const sends = spec.forwarded;
  return {
    sendsId: sends.requestId,
    edit(fields, request) {
      const { head, arrived } = request;
      const peer = arrived.source.address;
      const isTrusted = trust.isTrusted(peer);
      let addresses: string | undefined;
      let forwarded: string | undefined;
      let via: string | undefined;
      let hasProto = false;
      let hasHost = false;
      let hasPort = false;
      let to = 0;
      for (let at = 0; at < fields.length; at += 2) {
        const name = fields[at]!;
        const value = fields[at + 1]!;
        switch (name) {
          case "x-forwarded-for":
            if (!isTrusted) continue;
            if (sends.xForwardedFor) {
              addresses = addresses === undefined ? value : `${addresses}, ${value}`;
              continue;
            }
            break;
          case "forwarded":
            if (!isTrusted) continue;
            if (sends.forwarded) {
              forwarded = forwarded === undefined ? value : `${forwarded}, ${value}`;
              continue;
            }
            break;
          case "via":
            if (sends.via !== undefined) {
              via = via === undefined ? value : `${via}, ${value}`;
              continue;
            }
            break;
          case "x-real-ip":
            if (!isTrusted || sends.xRealIp) continue;
            break;
          case "x-request-id":
            if (!isTrusted || sends.requestId) continue;
            break;
          case "x-forwarded-proto":
            if (!isTrusted || hasProto) continue;
            hasProto = true;
            break;
          case "x-forwarded-host":
            if (!isTrusted || hasHost) continue;
            hasHost = true;
            break;
          case "x-forwarded-port":
            if (!isTrusted || hasPort) continue;
            hasPort = true;
            break;
          default:
            if (!isTrusted && name.startsWith("x-forwarded-")) continue;
        }
        fields[to++] = name;
        fields[to++] = value;
      }
      if (to < fields.length) fields.length = to;
      if (sends.xForwardedFor) fields.push("x-forwarded-for", addresses === undefined ? peer : `${addresses}, ${peer}`);
      if (sends.xForwarded) {
        if (!hasProto) fields.push("x-forwarded-proto", head.scheme);
        if (!hasHost && head.authority !== "") fields.push("x-forwarded-host", head.authority);
        if (!hasPort) fields.push("x-forwarded-port", `${arrived.destination.port}`);
      }
      if (sends.xRealIp) fields.push("x-real-ip", request.client);
      if (sends.requestId) fields.push("x-request-id", request.requestId);
      if (sends.forwarded) {
        const element = forwardedElement(peer, arrived.destination.address, head.authority, head.scheme);
        fields.push("forwarded", forwarded === undefined ? element : `${forwarded}, ${element}`);
      }
      if (sends.via !== undefined) {
        const hop = `${head.version === "2" ? "2.0" : head.version} ${sends.via}`;
        fields.push("via", via === undefined ? hop : `${via}, ${hop}`);
      }
    },
  };
}

/** IPv6 addresses and ports are quoted (RFC 7239 §6). */
function forwardedElement(peer: string, own: string, authority: string, scheme: string): string {
  const host = authority === "" ? "" : `;host=${quoted(authority)}`;
  return `for=${node(peer)};by=${node(own)}${host};proto=${scheme}`;
}
const node = (address: string): string => (address.includes(":") ? `"[${address}]"` : address);
const quoted = (authority: string): string => (/[:[\]]/.test(authority) ? `"${authority}"` : authority);
