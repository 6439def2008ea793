/**
 * The Huffman code of HPACK (RFC 7541 §5.2, appendix B): text ↔ octets.
 *
 * Owns:    the code, made of the lengths of its words alone: it is canonical (words of one length are in the order of their
 *          symbols). Decoding goes by a table, four bits a step: no word is shorter than five, so a step gives one symbol at
 *          most.
 * Units:   text is latin1: one code unit per octet.
 * @module
 */

/** Of each octet, and of EOS (256). */
const LENGTHS = Uint8Array.from(
  `13 23 28 28 28 28 28 28 28 24 30 28 28 30 28 28 28 28 28 28 28 28 30 28 28 28 28 28 28 28 28 28
  6 10 10 12 13 6 8 11 10 10 8 11 8 6 6 6 5 5 5 6 6 6 6 6 6 6 7 8 15 6 12 10
  13 6 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 7 8 7 8 13 19 13 14 6
  15 5 6 5 6 5 6 6 6 5 7 7 6 6 6 5 6 7 6 5 5 6 7 7 7 7 7 15 11 14 13 28
  20 22 20 20 22 22 22 23 22 23 23 23 23 23 24 23 24 24 22 23 24 23 23 23 23 21 22 23 22 23 23 24
  22 21 20 22 22 23 23 21 23 22 22 24 21 22 23 23 21 21 22 21 23 22 23 23 20 22 22 22 23 22 22 23
  26 26 20 19 22 23 22 25 26 26 26 27 27 26 24 25 19 21 26 27 27 26 27 24 21 21 26 26 28 27 27 27
  20 24 20 21 22 21 21 23 22 22 25 25 24 24 26 23 26 27 26 26 27 27 27 27 27 28 27 27 27 27 27 26 30`
    .split(/\s+/)
    .map(Number),
);
const EOS = 256;
const MAX_LENGTH = 30;
const CODES = new Uint32Array(LENGTHS.length);
for (let length = 1, code = 0; length <= MAX_LENGTH; length++, code *= 2)
  for (let symbol = 0; symbol <= EOS; symbol++) if (LENGTHS[symbol] === length) CODES[symbol] = code++;

// ── decoding ─────────────────────────────────────────────────────────────────────────────────────────────────────

/** Inner nodes of the code's tree; the root is 0. */
const STATES = EOS;
const BAD = -1;
const EMITS = 0x100;
/** By state and next four bits: the next state, `EMITS` and the symbol above it, or `BAD`. */
const STEPS = new Int32Array(STATES * 16);
/** Whether a text may end here: less than eight bits of EOS, which are all ones (RFC 7541 §5.2). */
const IS_END = new Uint8Array(STATES);

(function build(): void {
  const children: Int32Array = new Int32Array(STATES * 2).fill(BAD);
  const LEAF = 0x1000;
  let states = 1;
  for (let symbol = 0; symbol <= EOS; symbol++) {
    let state = 0;
    for (let bit = LENGTHS[symbol]! - 1; bit > 0; bit--) {
      const slot = state * 2 + ((CODES[symbol]! >>> bit) & 1);
      if (children[slot] === BAD) children[slot] = states++;
      state = children[slot]!;
    }
    children[state * 2 + (CODES[symbol]! & 1)] = LEAF + symbol;
  }
  for (let state = 0; state < STATES; state++)
    for (let bits = 0; bits < 16; bits++) {
      let at = state;
      let emitted = 0;
      for (let bit = 3; bit >= 0 && at >= 0; bit--) {
        at = children[at * 2 + ((bits >>> bit) & 1)]!;
        if (at === LEAF + EOS) at = BAD;
        else if (at >= LEAF) {
          emitted = EMITS | ((at - LEAF) << 9);
          at = 0;
        }
      }
      STEPS[state * 16 + bits] = at < 0 ? BAD : at | emitted;
    }
  for (let bits = 0, state = 0; bits < 8; bits++, state = children[state * 2 + 1]!) IS_END[state] = 1;
})();

/** Grows with the longest text that came. */
const decoded = { octets: Buffer.alloc(4_096) };

/** @returns undefined: it ends amid a word, or holds EOS */
export function decodeHuffman(octets: Uint8Array, from: number, to: number): string | undefined {
  const most = Math.ceil(((to - from) * 8) / 5);
  if (most > decoded.octets.length) decoded.octets = Buffer.alloc(most * 2);
  const out = decoded.octets;
  let length = 0;
  let state = 0;
  for (let at = from; at < to; at++) {
    const octet = octets[at]!;
    let step = STEPS[state * 16 + (octet >>> 4)]!;
    if (step < 0) return undefined;
    if ((step & EMITS) !== 0) out[length++] = step >>> 9;
    step = STEPS[(step & 0xff) * 16 + (octet & 15)]!;
    if (step < 0) return undefined;
    if ((step & EMITS) !== 0) out[length++] = step >>> 9;
    state = step & 0xff;
  }
  return IS_END[state] === 1 ? out.toString("latin1", 0, length) : undefined;
}

// ── encoding ─────────────────────────────────────────────────────────────────────────────────────────────────────

/** @returns octets that `encodeHuffman` will write */
export function huffmanLength(text: string): number {
  let bits = 0;
  for (let at = 0; at < text.length; at++) bits += LENGTHS[text.charCodeAt(at)]!;
  return (bits + 7) >>> 3;
}

/** @returns where it ends */
export function encodeHuffman(text: string, out: Uint8Array, from: number): number {
  let at = from;
  let held = 0;
  let bits = 0;
  const push = (code: number, length: number): void => {
    held = (held << length) | code;
    for (bits += length; bits >= 8; bits -= 8) out[at++] = held >>> (bits - 8);
    held &= (1 << bits) - 1;
  };
  for (let index = 0; index < text.length; index++) {
    const symbol = text.charCodeAt(index);
    const code = CODES[symbol]!;
    const length = LENGTHS[symbol]!;
    // Seven bits may be held: more than 24 others do not fit beside them.
    if (length > 16) push(code >>> 16, length - 16);
    push(length > 16 ? code & 0xffff : code, Math.min(length, 16));
  }
  if (bits > 0) push((1 << (8 - bits)) - 1, 8 - bits);
  return at;
}
