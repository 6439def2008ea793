/**
 * The fields of one block as they were decoded, as far as there is room for them.
 *
 * Owns:    the limit of a field section (RFC 9113 §6.5.2). A block that is beyond it is decoded to its end all the same, since
 *          the dynamic table depends on it, but nothing more of it is kept: a small block may stand for very much (HPACK bomb,
 *          CVE-2016-6581).
 * @module
 */
import { ENTRY_OVERHEAD } from "#l7/http2/hpack/static-table.ts";

export class HeaderList {
  /** Names and values in turn, in the order of the wire, latin1. */
  readonly raw: string[] = [];
  octets = 0;
  fields = 0;
  isTooLong = false;
  isTooMany = false;
  #maxOctets = 0;
  #maxFields = 0;

  begin(maxOctets: number, maxFields: number): void {
    this.raw.length = 0;
    this.octets = 0;
    this.fields = 0;
    this.isTooLong = false;
    this.isTooMany = false;
    this.#maxOctets = maxOctets;
    this.#maxFields = maxFields;
  }
  add(name: string, value: string): void {
    this.octets += name.length + value.length + ENTRY_OVERHEAD;
    this.fields++;
    if (this.octets > this.#maxOctets) this.isTooLong = true;
    else if (this.fields > this.#maxFields) this.isTooMany = true;
    else this.raw.push(name, value);
  }
}
