/**
 * What we allow peers of HTTP/2, as `node:http2` takes it. Its own defaults allow a peer nearly everything.
 * @module
 */
import { constants, type Settings } from "node:http2";
import type { Http2Spec, HttpLimits, UpstreamSpec } from "#state/http.ts";

export const { NGHTTP2_NO_ERROR, NGHTTP2_PROTOCOL_ERROR, NGHTTP2_INTERNAL_ERROR } = constants;
export const { NGHTTP2_REFUSED_STREAM, NGHTTP2_CANCEL, NGHTTP2_ENHANCE_YOUR_CALM } = constants;
export const { NGHTTP2_HTTP_1_1_REQUIRED } = constants;

/** Frames that break a rule, over the life of a connection; empty DATA frames count among them (CVE-2019-9518). */
const INVALID_FRAMES = 100;
/**
 * Streams that Node rejects, over the life of a connection. nghttp2 ends the connection of a client that breaks `maxStreams`;
 * what is left are streams that came a moment before Node had let go of one that is over. Clients that always use all of
 * their streams see a few of these in thousands, and must not lose their connection over them.
 */
const REJECTED_STREAMS = 1_000_000;
/** Pseudo-headers, beside the fields that are allowed. */
const PSEUDO_FIELDS = 5;
/** What nghttp2 may hold of one connection, in MB (Node counts in those). */
const SESSION_MEMORY_MB = 10;
/** Settings that one frame may hold (RFC 9113 §6.5.2 knows seven). */
const SETTINGS_PER_FRAME = 32;
/** Octets of all streams of a connection on their way to us: one stream alone must not fill it. */
export const CONNECTION_WINDOW_STREAMS = 4;
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
  maxSessionRejectedStreams?: number;
  streamResetBurst?: number;
  streamResetRate?: number;
  peerMaxConcurrentStreams?: number;
  maxReservedRemoteStreams: number;
  strictFieldWhitespaceValidation: boolean;
  strictSingleValueFields: boolean;
};

export function serverOptions(http2: Http2Spec, limits: HttpLimits): SessionOptions {
  return {
    settings: {
      maxConcurrentStreams: http2.maxStreams,
      maxHeaderListSize: http2.headerListOctets,
      initialWindowSize: http2.windowOctets,
      enablePush: false,
      enableConnectProtocol: true,
    },
    maxSettings: SETTINGS_PER_FRAME,
    maxSessionMemory: SESSION_MEMORY_MB + Math.ceil((http2.windowOctets * CONNECTION_WINDOW_STREAMS) / 1e6),
    maxHeaderListPairs: limits.fields + PSEUDO_FIELDS,
    maxOutstandingPings: http2.outstandingPings,
    maxSessionInvalidFrames: INVALID_FRAMES,
    maxSessionRejectedStreams: REJECTED_STREAMS,
    // Behind ours, which also knows of the streams that we reset because of the client.
    streamResetBurst: http2.resetsPerSecond * 2,
    streamResetRate: http2.resetsPerSecond,
    maxReservedRemoteStreams: 0,
    strictFieldWhitespaceValidation: true,
    strictSingleValueFields: false, // a backend's fields are its own; ours were checked when they were read
  };
}

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
