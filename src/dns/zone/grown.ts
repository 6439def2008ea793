/**
 * Arrays that grow while a zone is read.
 * @module
 */
type Growing = Uint8Array<ArrayBuffer> | Uint16Array<ArrayBuffer> | Int32Array<ArrayBuffer>;

/**
 * The same elements with room for `length` or more. The old buffer is given back at once, not when garbage is next
 * collected: while a large zone is read, that decides how much memory is needed.
 */
export function grown<T extends Growing>(array: T, length: number): T {
  let larger = array.length * 2;
  while (larger < length) larger *= 2;
  const Kind = array.constructor as new (buffer: ArrayBuffer) => T;
  return new Kind(array.buffer.transfer(larger * array.BYTES_PER_ELEMENT));
}
