/**
 * What we allow backends that speak HTTP/2, as `node:http2` takes it. Its own defaults allow a peer nearly everything.
 * @module
 */
import { constants, type Settings } from "node:http2";
import type { UpstreamSpec } from "#state/http.ts";

export const { NGHTTP2_NO_ERROR, NGHTTP2_PROTOCOL_ERROR, NGHTTP2_REFUSED_STREAM, NGHTTP2_CANCEL } = constants;

/** Frames that break a rule, over the life of a connection; empty DATA frames count among them (CVE-2019-9518). */
const INVALID_FRAMES = 100;
/** What nghttp2 may hold of one connection, in MB (Node counts in those). */
const SESSION_MEMORY_MB = 10;
/** Settings that one frame may hold (RFC 9113 §6.5.2 knows seven). */
const SETTINGS_PER_FRAME = 32;
/** Where a backend does not say how many streams it takes. */
const DEFAULT_PEER_STREAMS = 100;
/** Octets of a response's head, and fields of it, that a backend may send. */
const RESPONSE_HEAD_OCTETS = 65_536;
const RESPONSE_FIELDS = 256;
/** Of each response and of all of a connection, on their way from a backend. */
export const UPSTREAM_WINDOW = { stream: 1 << 20, connection: 8 << 20 } as const;

/** Names that `@types/node` does not have yet. */
type SessionOptions = {
  settings: Settings;
  maxSettings: number;
  maxSessionMemory: number;
  maxHeaderListPairs: number;
  maxOutstandingPings: number;
  maxSessionInvalidFrames: number;
  peerMaxConcurrentStreams: number;
  maxReservedRemoteStreams: number;
  strictFieldWhitespaceValidation: boolean;
  strictSingleValueFields: boolean;
};

export function clientOptions(upstream: UpstreamSpec): SessionOptions {
  return {
    settings: {
      enablePush: false,
      initialWindowSize: UPSTREAM_WINDOW.stream,
      maxHeaderListSize: RESPONSE_HEAD_OCTETS,
    },
    maxSettings: SETTINGS_PER_FRAME,
    maxSessionMemory: SESSION_MEMORY_MB + UPSTREAM_WINDOW.connection / 1e6,
    maxHeaderListPairs: RESPONSE_FIELDS,
    maxOutstandingPings: 2,
    maxSessionInvalidFrames: INVALID_FRAMES,
    peerMaxConcurrentStreams: Math.min(upstream.maxStreams, DEFAULT_PEER_STREAMS),
    maxReservedRemoteStreams: 0,
    strictFieldWhitespaceValidation: true,
    strictSingleValueFields: false,
  };
}
