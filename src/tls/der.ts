/**
 * DER (X.690), as far as OCSP needs it: elements of one-octet tags with definite lengths.
 *
 * Rule:    what is read comes from strangers. A reader throws `DerFault` on anything that is cut off or not as expected;
 *          whoever reads catches it.
 * @module
 */

export class DerFault extends Error {}

export const TAG = {
  integer: 0x02,
  bitString: 0x03,
  octetString: 0x04,
  nothing: 0x05,
  oid: 0x06,
  enumerated: 0x0a,
  generalizedTime: 0x18,
  sequence: 0x30,
  context0: 0xa0,
} as const;

export type Element = {
  readonly tag: number;
  /** With tag and length. */
  readonly whole: Buffer;
  readonly content: Buffer;
};

/** All elements in a row. @throws DerFault */
export function readAll(octets: Buffer): Element[] {
  const elements: Element[] = [];
  for (let at = 0; at < octets.length; ) {
    const first = octets[at + 1];
    if (first === undefined || first === 0x80 || first > 0x84) throw new DerFault("a length that cannot be");
    const lengthOctets = first < 0x80 ? 0 : first & 0x7f;
    const from = at + 2 + lengthOctets;
    if (from > octets.length) throw new DerFault("cut off");
    const length = lengthOctets === 0 ? first : octets.readUIntBE(at + 2, lengthOctets);
    if (from + length > octets.length) throw new DerFault("cut off");
    const tag = octets[at]!;
    elements.push({ tag, whole: octets.subarray(at, from + length), content: octets.subarray(from, from + length) });
    at = from + length;
  }
  return elements;
}

/** The elements within one that must have this tag. @throws DerFault */
export function within(element: Element | undefined, tag: number = TAG.sequence): Element[] {
  return readAll(contentOf(element, tag));
}
/** @throws DerFault */
export function contentOf(element: Element | undefined, tag: number): Buffer {
  if (element?.tag !== tag) throw new DerFault(`not what was expected: ${element?.tag} for ${tag}`);
  return element.content;
}

export function write(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const content = Buffer.concat(parts);
  if (content.length < 0x80) return Buffer.concat([Uint8Array.of(tag, content.length), content]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(content.length);
  const significant = length.subarray(length.findIndex((octet) => octet !== 0));
  return Buffer.concat([Uint8Array.of(tag, 0x80 | significant.length), significant, content]);
}

/** `20260101120000Z` in Unix ms. @throws DerFault */
export function readTime(element: Element | undefined): number {
  const text = contentOf(element, TAG.generalizedTime).toString("latin1");
  const parts = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/.exec(text);
  if (parts === null) throw new DerFault("a time that cannot be read");
  const [, year, month, day, hour, minute, second] = parts.map(Number);
  return Date.UTC(year!, month! - 1, day, hour, minute, second);
}
