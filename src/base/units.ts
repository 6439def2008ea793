/**
 * Durations and sizes as operators write them: `200ms`, `5s`, `10m`, `2h`, `1d`; `64KiB`, `8MiB`. Counts as people say them.
 * @module
 */
const DURATION_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const SIZE_OCTETS = { B: 1, KiB: 1_024, MiB: 1_048_576, GiB: 1_073_741_824 } as const;

function parseUnit(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const match = /^([0-9]+(?:\.[0-9]+)?)([A-Za-z]+)$/.exec(text);
  const factor = match && Object.hasOwn(units, match[2]!) ? units[match[2]!] : undefined;
  return factor === undefined ? undefined : Math.round(Number(match![1]) * factor);
}

/** @returns ms, or undefined when `text` is not a number with one of the units ms, s, m, h, d */
export const parseDurationMs = (text: string): number | undefined => parseUnit(text, DURATION_MS);
/** @returns octets, or undefined when `text` is not a number with one of the units B, KiB, MiB, GiB */
export const parseSizeOctets = (text: string): number | undefined => parseUnit(text, SIZE_OCTETS);

/** The shortest exact form: 90_000 is `90s`, 3_600_000 is `1h`. */
export function formatDurationMs(ms: number): string {
  for (const [unit, factor] of Object.entries(DURATION_MS).reverse()) {
    if (ms >= factor && ms % factor === 0) return `${ms / factor}${unit}`;
  }
  return `${ms}ms`;
}

/** `1 zone`, `2 zones`. @param noun in the singular, one whose plural takes an s */
export const countText = (count: number, noun: string): string => `${count} ${noun}${count === 1 ? "" : "s"}`;
