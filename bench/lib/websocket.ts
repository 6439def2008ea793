/**
 * WebSocket frames as a load needs them (RFC 6455 §5.2): text of a fixed length, masked as clients must, so that a frame's
 * length is known without reading it.
 * @module
 */
/** Octets of a message. */
export const MESSAGE_OCTETS = 64;
const MASK = [0x12, 0x34, 0x56, 0x78];

const payload = Buffer.alloc(MESSAGE_OCTETS, "rhumb");
/** What a client sends. */
export const CLIENT_FRAME = Buffer.concat([
  Buffer.from([0x81, 0x80 | MESSAGE_OCTETS, ...MASK]),
  payload.map((octet, index) => octet ^ MASK[index % 4]!),
]);
/** What the server answers. */
export const SERVER_FRAME = Buffer.concat([Buffer.from([0x81, MESSAGE_OCTETS]), payload]);

export const HANDSHAKE =
  "GET /socket HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
  "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
/** RFC 6455 §1.3 has the accept value of that key. */
export const ACCEPTED =
  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
  "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
