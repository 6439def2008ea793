/**
 * What a PROXY header says, whichever its version. Specification: "The PROXY protocol, versions 1 & 2" (HAProxy,
 * doc/proxy-protocol.txt).
 *
 * Owns:    types and bounds alone.
 * Units:   octets.
 * @module
 */

export type ProxyAddress = { readonly address: string; readonly port: number };

export type ProxyHeader = {
  readonly kind: "header";
  /** Octets of the header; what follows is the connection's own. */
  readonly length: number;
  readonly version: 1 | 2;
  /** `local`: the proxy speaks for itself (a health check), version 1 says UNKNOWN; the socket's own addresses count. */
  readonly command: "proxy" | "local";
  readonly transport: "stream" | "datagram";
  /** Undefined: not an IP connection, or `local`; then the socket's own addresses count. */
  readonly source: ProxyAddress | undefined;
  readonly destination: ProxyAddress | undefined;
  readonly tlvs: ProxyTlvs;
};

export type ProxyParse = { readonly kind: "more" } | { readonly kind: "bad"; readonly says: string } | ProxyHeader;

/** Extensions of version 2. */
export type ProxyTlvs = {
  readonly alpn?: Uint8Array;
  /** Host name that the client asked for (SNI). */
  readonly authority?: string;
  readonly uniqueId?: Uint8Array;
  readonly ssl?: ProxySsl;
  readonly netns?: string;
  /** Types that this codec does not know, in their order. */
  readonly other: readonly Tlv[];
};
export type Tlv = { readonly type: number; readonly value: Uint8Array };

export type ProxySsl = {
  /** Bits of `SSL_CLIENT`. */
  readonly client: number;
  /** 0: the client presented a certificate and it was verified. */
  readonly verify: number;
  readonly version?: string;
  readonly commonName?: string;
  readonly cipher?: string;
  readonly signatureAlgorithm?: string;
  readonly keyAlgorithm?: string;
  readonly other: readonly Tlv[];
};
/** Over TLS; with a certificate on this connection; with one in this session. */
export const SSL_CLIENT = { ssl: 1, certificateOfConnection: 2, certificateOfSession: 4 } as const;

export const NO_TLVS: ProxyTlvs = { other: [] };

/** `PROXY TCP6 ` + two addresses of 39 + two ports of 5 + three spaces + CR LF (version 1, section 2.1: 107 at most). */
export const MAX_V1_OCTETS = 107;
/** Signature, version and command, family and transport, length. */
export const V2_FIXED_OCTETS = 16;
/**
 * A version 2 block may have 65,535 octets; what senders use is some hundred, or a few thousand with a client's
 * certificate. HAProxy takes what fits into one of its buffers, which is as much.
 */
export const MAX_V2_BLOCK_OCTETS = 16_384;
/** The most that may be waiting before a header is known to be good or bad. */
export const MAX_PROXY_HEADER_OCTETS = V2_FIXED_OCTETS + MAX_V2_BLOCK_OCTETS;
