/**
 * Who the client is, where requests come through proxies of ours: X-Forwarded-For and Forwarded of trusted peers.
 *
 * Owns:    whom to believe (R39), and the walk over hops.
 * Never:   believes a peer that is not listed, or reads more than `MAX_HOPS` of a list, from its end.
 * @module
 */
import { formatIp, parseCidr, parseIp, unmapIp } from "#base/ip.ts";
import { createNetworkList, NO_RULE } from "#base/network-list.ts";
import { trimBlank } from "#l7/http1/field-scan.ts";
import { listOf, type RequestHead } from "#l7/message.ts";
import type { HttpSpec } from "#state/http.ts";

export const MAX_HOPS = 20;

export type Trust = {
  /** @param address of a peer, as text */
  isTrusted(address: string): boolean;
  /** The client's address: the peer's, or what a trusted peer says. */
  clientOf(peer: string, head: RequestHead): string;
};

export function createTrust(spec: Pick<HttpSpec, "trusted" | "forwarded">): Trust {
  const networks = createNetworkList(spec.trusted.flatMap((text) => parseCidr(text) ?? []));
  const { hops } = spec.forwarded;
  // Requests of one connection come in a row, and few peers are proxies: the last answer is most often the next one.
  let lastPeer = "";
  let wasTrusted = false;

  function isTrusted(address: string): boolean {
    if (networks.isEmpty) return false;
    if (address === lastPeer) return wasTrusted;
    const parsed = parseIp(address);
    const bytes = parsed && unmapIp(parsed);
    lastPeer = address;
    wasTrusted = bytes !== undefined && networks.find(bytes, bytes.length === 16) !== NO_RULE;
    return wasTrusted;
  }

  return {
    isTrusted,
    clientOf(peer, head) {
      if (!isTrusted(peer)) return peer;
      const list = listOf(head.fields, "x-forwarded-for");
      const named = list === undefined ? forwardedFor(listOf(head.fields, "forwarded")) : list.split(",");
      // The nearest proxy wrote the last entry. Where it is no address, nothing before it is known to be true.
      let client = peer;
      const first = Math.max(0, named.length - Math.min(hops, MAX_HOPS));
      for (let at = named.length - 1; at >= first; at--) {
        const address = addressOf(named[at]!);
        if (address === undefined) break;
        client = address;
      }
      return client;
    },
  };
}

/** `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]:80`. @returns canonical text; undefined: it is none */
export function addressOf(text: string): string | undefined {
  let address = trimBlank(text);
  if (address.startsWith("[")) address = /^\[([^\]]*)\](?::\d{1,5})?$/.exec(address)?.[1] ?? "";
  else if (address.indexOf(":") === address.lastIndexOf(":"))
    address = /^([^:]*)(?::\d{1,5})?$/.exec(address)?.[1] ?? "";
  const bytes = parseIp(address);
  return bytes && formatIp(unmapIp(bytes));
}

/** The `for` of each element (RFC 7239 §4, §6); empty where an element has none. */
export function forwardedFor(list: string | undefined): string[] {
  if (list === undefined) return [];
  return splitOutsideQuotes(list, ",").map((element) => {
    for (const pair of splitOutsideQuotes(element, ";")) {
      const [, name, value] = /^[\t ]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)=(.*)$/.exec(pair) ?? [];
      if (name?.toLowerCase() !== "for") continue;
      const text = trimBlank(value!);
      return text.startsWith('"') && text.endsWith('"') && text.length > 1
        ? text.slice(1, -1).replace(/\\(.)/g, "$1")
        : text;
    }
    return "";
  });
}

function splitOutsideQuotes(text: string, separator: string): string[] {
  const parts: string[] = [];
  let from = 0;
  let isQuoted = false;
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (char === '"') isQuoted = !isQuoted;
    else if (char === "\\" && isQuoted) at++;
    else if (char === separator && !isQuoted) {
      parts.push(text.slice(from, at));
      from = at + 1;
    }
  }
  parts.push(text.slice(from));
  return parts;
}
