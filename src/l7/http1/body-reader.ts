/**
 * Octets of a body's framing → its payload (RFC 9112 §6, §7.1), one body of a connection after the other.
 *
 * Owns:    rules R22 to R25: chunk lines, their ends, extensions (read and dropped), trailers.
 * Never:   throws, copies payload, or says anything else of a body that comes in pieces than of one that comes whole.
 * Units:   octets.
 * @module
 */
import { FieldScan, fault, linesFault } from "#l7/http1/field-scan.ts";
import { CR, HEX, isFraming, isProtected, LF, TOKEN_LOWER, VALUE } from "#l7/http1/grammar.ts";
import type { BodyReader, BodySink, Framing, HeadFault, HeadLimits } from "#l7/http1/parse.ts";
import type { Fields } from "#l7/message.ts";

const MAX_SIZE_DIGITS = 16;
/** Of one chunk. */
const MAX_EXTENSION = 256;
/**
 * Of one body: octets of chunk lines beyond what an honest sender spends. Each chunk has 16 and its size twice, as Go's
 * net/http counts them (CVE-2023-39326).
 */
const MAX_OVERHEAD = 16_384;

const BAD_CHUNK_END = fault(400, "R1", "A chunk line does not end in CRLF");
const BAD_SIZE = fault(400, "R22", "A chunk size is not a hexadecimal number below 2^53");
const BAD_EXTENSION = fault(400, "R23", "A chunk extension is malformed");
const LONG_EXTENSION = fault(400, "R23", "Chunk extensions are longer than the limit");
const BAD_DATA_END = fault(400, "R24", "Chunk data is not followed by CRLF");
const CUT_SHORT = fault(400, "R24", "The connection ended amid the body");
const TOO_LONG = fault(413, "R24", "The body is longer than the limit");

/** Where in a chunked body the next octet stands. */
const AT = {
  sizeStart: 0,
  size: 1,
  extensionName: 2,
  extensionNameRest: 3,
  extensionValue: 4,
  extensionToken: 5,
  extensionQuoted: 6,
  extensionEscaped: 7,
  extensionEnd: 8,
  lineFeed: 9,
  data: 10,
  dataCr: 11,
  dataLf: 12,
  trailers: 13,
} as const;

const scan = new FieldScan();
const NOTHING = Buffer.alloc(0);

/** @param limits of trailers */
export function createBodyReader(limits: HeadLimits): BodyReader {
  return new Http1BodyReader(limits);
}

class Http1BodyReader implements BodyReader {
  isOver = true;
  private readonly limits: HeadLimits;
  private kind: Framing["kind"] = "none";
  /** Of the length, or of the chunk; `close`: unused. */
  private left = 0;
  /** Of the limit. */
  private room = 0;
  private at: number = AT.sizeStart;
  private digits = 0;
  private extension = 0;
  private overhead = 0;
  /** Trailers that are not complete. */
  private held: Buffer = NOTHING;

  constructor(limits: HeadLimits) {
    this.limits = limits;
  }

  begin(framing: Framing, maxOctets: number): void {
    this.kind = framing.kind;
    this.isOver = framing.kind === "none" || (framing.kind === "length" && framing.octets === 0);
    this.left = framing.kind === "length" ? framing.octets : 0;
    this.room = maxOctets;
    this.at = AT.sizeStart;
    this.digits = 0;
    this.overhead = 0;
    this.held = NOTHING;
  }

  feed(octets: Buffer, sink: BodySink): number | HeadFault {
    if (this.isOver) return 0;
    if (this.kind === "chunked") return this.chunked(octets, sink);
    const length = this.kind === "length" ? Math.min(this.left, octets.length) : octets.length;
    if (this.left > this.room || length > this.room) return TOO_LONG;
    if (length === 0) return 0;
    this.room -= length;
    sink.onBody(length === octets.length ? octets : octets.subarray(0, length));
    if (this.kind === "length") {
      this.left -= length;
      if (this.left === 0) {
        this.isOver = true;
        sink.onBodyEnd(undefined);
      }
    }
    return length;
  }

  end(sink: BodySink): HeadFault | undefined {
    if (this.isOver) return undefined;
    if (this.kind !== "close") return CUT_SHORT;
    this.isOver = true;
    sink.onBodyEnd(undefined);
    return undefined;
  }

  private chunked(octets: Buffer, sink: BodySink): number | HeadFault {
    for (let at = 0; at < octets.length; ) {
      if (this.at === AT.data) {
        const length = Math.min(this.left, octets.length - at);
        sink.onBody(octets.subarray(at, at + length));
        at += length;
        this.left -= length;
        if (this.left === 0) this.at = AT.dataCr;
        continue;
      }
      if (this.at === AT.trailers) return this.trailers(octets, at, sink);
      const wrong = this.lineOctet(octets[at++]!);
      if (wrong) return wrong;
    }
    return octets.length;
  }

  /** One octet of chunk lines and of what ends chunk data. */
  private lineOctet(octet: number): HeadFault | undefined {
    switch (this.at) {
      case AT.sizeStart:
        this.left = 0;
        this.digits = 0;
        this.extension = 0;
        if (HEX[octet] === 255) return BAD_SIZE;
        this.at = AT.size;
        return this.sizeDigit(octet);
      case AT.size:
        if (HEX[octet] !== 255) return this.sizeDigit(octet);
        if (octet === CR) this.at = AT.lineFeed;
        else if (octet === 0x3b) return this.extensionOctet(AT.extensionName);
        else return BAD_SIZE;
        return undefined;
      case AT.extensionName:
        return TOKEN_LOWER[octet] === 0 ? BAD_EXTENSION : this.extensionOctet(AT.extensionNameRest);
      case AT.extensionNameRest:
        if (TOKEN_LOWER[octet] !== 0) return this.extensionOctet(AT.extensionNameRest);
        if (octet === 0x3d) return this.extensionOctet(AT.extensionValue);
        return this.afterExtension(octet);
      case AT.extensionValue:
        if (octet === 0x22) return this.extensionOctet(AT.extensionQuoted);
        return TOKEN_LOWER[octet] === 0 ? BAD_EXTENSION : this.extensionOctet(AT.extensionToken);
      case AT.extensionToken:
        return TOKEN_LOWER[octet] === 0 ? this.afterExtension(octet) : this.extensionOctet(AT.extensionToken);
      case AT.extensionQuoted:
        if (octet === 0x22) return this.extensionOctet(AT.extensionEnd);
        if (octet === 0x5c) return this.extensionOctet(AT.extensionEscaped);
        return VALUE[octet] === 0 ? BAD_EXTENSION : this.extensionOctet(AT.extensionQuoted);
      case AT.extensionEscaped:
        return VALUE[octet] === 0 ? BAD_EXTENSION : this.extensionOctet(AT.extensionQuoted);
      case AT.extensionEnd:
        return this.afterExtension(octet);
      case AT.lineFeed:
        return octet === LF ? this.chunkBegins() : BAD_CHUNK_END;
      case AT.dataCr:
        this.at = AT.dataLf;
        return octet === CR ? undefined : BAD_DATA_END;
      default:
        this.at = AT.sizeStart;
        return octet === LF ? undefined : BAD_DATA_END;
    }
  }

  private sizeDigit(octet: number): HeadFault | undefined {
    this.left = this.left * 16 + HEX[octet]!;
    return ++this.digits > MAX_SIZE_DIGITS || !Number.isSafeInteger(this.left) ? BAD_SIZE : undefined;
  }

  private extensionOctet(next: number): HeadFault | undefined {
    this.at = next;
    return ++this.extension > MAX_EXTENSION ? LONG_EXTENSION : undefined;
  }

  private afterExtension(octet: number): HeadFault | undefined {
    if (octet === 0x3b) return this.extensionOctet(AT.extensionName);
    if (octet !== CR) return BAD_EXTENSION;
    this.at = AT.lineFeed;
    return undefined;
  }

  /** The chunk's line is complete. */
  private chunkBegins(): HeadFault | undefined {
    if (this.left > this.room) return TOO_LONG;
    this.room -= this.left;
    this.overhead = Math.max(0, this.overhead + this.digits + this.extension - 16 - 2 * this.left);
    if (this.overhead > MAX_OVERHEAD) return LONG_EXTENSION;
    this.at = this.left === 0 ? AT.trailers : AT.data;
    return undefined;
  }

  /** @returns octets consumed of all of `octets`, of which those before `from` are done */
  private trailers(octets: Buffer, from: number, sink: BodySink): number | HeadFault {
    const held = this.held.length;
    const section = held === 0 ? octets.subarray(from) : Buffer.concat([this.held, octets.subarray(from)]);
    const end = sectionEnd(section);
    if (end < 0) {
      const wrong = linesFault(section, 0, 0, this.limits);
      if (wrong) return wrong;
      this.held = held === 0 ? Buffer.from(section) : section;
      return octets.length;
    }
    let trailers: Fields | undefined;
    if (end > 2) {
      const wrong =
        end > this.limits.headOctets
          ? linesFault(section, 0, 0, this.limits)
          : scan.read(section, section.toString("latin1", 0, end), 0, 0, end - 2, this.limits);
      if (wrong) return linesFault(section, 0, 0, this.limits) ?? wrong;
      trailers = scan.fields;
    }
    this.isOver = true;
    this.held = NOTHING;
    sink.onBodyEnd(trailers && passable(trailers));
    return from + end - held;
  }
}

/** @returns octets up to the end of the empty line; -1: it has not come */
function sectionEnd(section: Buffer): number {
  if (section[0] === CR && section[1] === LF) return 2;
  const end = section.indexOf("\r\n\r\n", 0, "latin1");
  return end < 0 ? -1 : end + 4;
}

/** Trailers bring nothing in that was decided about already (R25). */
function passable(trailers: Fields): Fields | undefined {
  const fields: Fields = [];
  for (let at = 0; at < trailers.length; at += 2) {
    const name = trailers[at]!;
    if (isFraming(name) || isProtected(name) || name.includes("_") || name === "proxy-authorization") continue;
    fields.push(name, trailers[at + 1]!);
  }
  return fields.length === 0 ? undefined : fields;
}
