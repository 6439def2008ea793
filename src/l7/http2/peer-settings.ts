/**
 * What a client says about itself (RFC 9113 §6.5), and what follows of it for what we send.
 * @module
 */
import type { Http2ClientStream } from "#l7/http2/client-stream.ts";
import { CODE, type Code, FRAME_OCTETS, MAX_FRAME_OCTETS, MAX_WINDOW_OCTETS, SETTING } from "#l7/http2/frames.ts";
import type { HpackEncoder } from "#l7/http2/hpack/encoder.ts";
import type { Outflow } from "#l7/http2/outflow.ts";

/**
 * Does what the pairs in a SETTINGS frame say, in their order. Larger frames and more streams than we use are no concern of
 * ours, and what is unknown is passed over.
 *
 * @returns what is wrong with them, for the connection
 */
export function takeSettings(
  octets: Buffer,
  from: number,
  to: number,
  encoder: HpackEncoder,
  outflow: Outflow,
  streams: Iterable<Http2ClientStream>,
): Code {
  for (let at = from; at < to; at += 6) {
    const value = octets.readUInt32BE(at + 2);
    switch (octets.readUInt16BE(at)) {
      case SETTING.headerTableOctets:
        encoder.limit(value);
        break;
      case SETTING.enablePush:
      case SETTING.enableConnectProtocol:
        if (value > 1) return CODE.protocol;
        break;
      case SETTING.frameOctets:
        if (value < FRAME_OCTETS || value > MAX_FRAME_OCTETS) return CODE.protocol;
        break;
      case SETTING.windowOctets: {
        if (value > MAX_WINDOW_OCTETS) return CODE.flowControl;
        const change = value - outflow.initialOctets;
        outflow.initialOctets = value;
        for (const { out } of [...streams]) if (!outflow.openStream(out, change)) return CODE.flowControl;
        break;
      }
    }
  }
  return CODE.none;
}
