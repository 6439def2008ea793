/**
 * Frames of HTTP/2 as octets (RFC 9113 §4, §6), for tests that send what no library would. Fields are written as literals
 * without indexing (RFC 7541 §6.2.2), so they say exactly what the test says.
 * @module
 */

export const TYPE = {
  data: 0,
  headers: 1,
  priority: 2,
  reset: 3,
  settings: 4,
  ping: 6,
  goaway: 7,
  window: 8,
  continuation: 9,
} as const;
export const FLAG = { endStream: 1, ack: 1, endHeaders: 4 } as const;
export const CODE = {
  none: 0,
  protocol: 1,
  internal: 2,
  flowControl: 3,
  streamClosed: 5,
  frameSize: 6,
  refused: 7,
  cancel: 8,
  compression: 9,
  calm: 11,
} as const;

export const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1");

export function frame(type: number, flags: number, stream: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

function text(value: string): Buffer {
  const octets = Buffer.from(value, "latin1");
  const length: number[] = [];
  if (octets.length < 127) length.push(octets.length);
  else {
    length.push(127);
    let rest = octets.length - 127;
    for (; rest >= 128; rest >>= 7) length.push((rest & 127) | 128);
    length.push(rest);
  }
  return Buffer.concat([Buffer.from(length), octets]);
}
export type Field = readonly [name: string, value: string];
export const block = (fields: readonly Field[]): Buffer =>
  Buffer.concat(fields.flatMap(([name, value]) => [Buffer.of(0), text(name), text(value)]));

export const GET: readonly Field[] = [
  [":method", "GET"],
  [":scheme", "http"],
  [":path", "/"],
  [":authority", "www.example.com"],
];
export const POST: readonly Field[] = [[":method", "POST"], ...GET.slice(1)];

export const settings = (...pairs: readonly (readonly [id: number, value: number])[]): Buffer =>
  frame(
    TYPE.settings,
    0,
    0,
    Buffer.concat(
      pairs.map(([id, value]) => {
        const pair = Buffer.alloc(6);
        pair.writeUInt16BE(id);
        pair.writeUInt32BE(value, 2);
        return pair;
      }),
    ),
  );
export const headers = (stream: number, fields: readonly Field[], isEnded = true): Buffer =>
  frame(TYPE.headers, FLAG.endHeaders | (isEnded ? FLAG.endStream : 0), stream, block(fields));
export const data = (stream: number, octets: string | Uint8Array, isEnded = false): Buffer =>
  frame(TYPE.data, isEnded ? FLAG.endStream : 0, stream, Buffer.from(octets as string));
const word = (value: number): Buffer => {
  const octets = Buffer.alloc(4);
  octets.writeUInt32BE(value);
  return octets;
};
export const reset = (stream: number, code: number): Buffer => frame(TYPE.reset, 0, stream, word(code));
export const windowUpdate = (stream: number, by: number): Buffer => frame(TYPE.window, 0, stream, word(by));
export const goaway = (last: number, code: number): Buffer =>
  frame(TYPE.goaway, 0, 0, Buffer.concat([word(last), word(code)]));
export const ping = (): Buffer => frame(TYPE.ping, 0, 0, Buffer.alloc(8));

export type Frame = {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
};

/** @returns whole frames, and how many octets they are */
export function readFrames(octets: Buffer): { readonly frames: Frame[]; readonly length: number } {
  const frames: Frame[] = [];
  let at = 0;
  while (at + 9 <= octets.length) {
    const length = octets.readUIntBE(at, 3);
    if (at + 9 + length > octets.length) break;
    frames.push({
      type: octets[at + 3]!,
      flags: octets[at + 4]!,
      stream: octets.readUInt32BE(at + 5) & 0x7fff_ffff,
      payload: octets.subarray(at + 9, at + 9 + length),
    });
    at += 9 + length;
  }
  return { frames, length: at };
}
