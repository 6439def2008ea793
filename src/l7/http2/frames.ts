/**
 * Numbers of HTTP/2 frames (RFC 9113 §4 to §7, RFC 8441 §3).
 * @module
 */

export const PREFACE: Buffer = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");
export const HEAD_OCTETS = 9;
/** What a payload may have, where nobody says otherwise; we never do. */
export const FRAME_OCTETS = 16_384;
export const MAX_FRAME_OCTETS = 0xff_ffff;
export const DEFAULT_WINDOW_OCTETS = 65_535;
export const MAX_WINDOW_OCTETS = 0x7fff_ffff;
export const MAX_STREAM = 0x7fff_ffff;

export const FRAME = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  pushPromise: 5,
  ping: 6,
  goaway: 7,
  windowUpdate: 8,
  continuation: 9,
} as const;
export const FLAG = { endStream: 0x1, ack: 0x1, endHeaders: 0x4, padded: 0x8, priority: 0x20 } as const;
export const SETTING = {
  headerTableOctets: 1,
  enablePush: 2,
  maxStreams: 3,
  windowOctets: 4,
  frameOctets: 5,
  headerListOctets: 6,
  enableConnectProtocol: 8,
} as const;
export const CODE = {
  none: 0,
  protocol: 1,
  internal: 2,
  flowControl: 3,
  settingsTimeout: 4,
  streamClosed: 5,
  frameSize: 6,
  refused: 7,
  cancel: 8,
  compression: 9,
  calm: 11,
} as const;
export type Code = (typeof CODE)[keyof typeof CODE];
