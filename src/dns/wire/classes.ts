/**
 * DNS classes (IANA "DNS CLASSes"; RFC 6895 §3.2).
 * @module
 */
export const CLASS = { IN: 1, CH: 3, HS: 4, NONE: 254, ANY: 255 } as const;

/** @returns the class of a mnemonic in any case or of `CLASSnnn` (RFC 3597 §5), else -1 */
export function classNumber(text: string): number {
  const upper = text.toUpperCase();
  if (Object.hasOwn(CLASS, upper)) return CLASS[upper as keyof typeof CLASS];
  if (!/^CLASS(0|[1-9][0-9]{0,4})$/.test(upper)) return -1;
  const number = Number(upper.slice(5));
  return number <= 0xffff ? number : -1;
}
