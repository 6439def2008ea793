/**
 * How a region looks, everywhere in a report: a colour of Okabe and Ito's set ("Color Universal Design", 2008), which
 * colour-blind readers can tell apart, and for print and for those who see no colour a pattern and a dash as well. The
 * colours themselves stand in `page.css`, as `--region-0` and so on. Vermilion is kept for what was lost.
 * @module
 */
export const PATTERNS = ["plain", "rising", "dots", "falling", "rows", "columns"] as const;
export type Pattern = (typeof PATTERNS)[number] | "cross";

/** Lengths in CSS pixels, as canvas and SVG take them; empty: a full line. */
const DASHES: readonly (readonly number[])[] = [[], [8, 3], [2, 3], [8, 3, 2, 3], [12, 4], [4, 4]];

export type Paint = { readonly colour: string; readonly pattern: Pattern; readonly dash: readonly number[] };

export const LOST_PAINT: Paint = { colour: "lost", pattern: "cross", dash: [] };
export const NOBODY_PAINT: Paint = { colour: "nobody", pattern: "plain", dash: [2, 2] };
/** Of lines that are not a region's: the usual, and the worst. */
export const LINE_PAINTS: readonly Paint[] = [
  { colour: "line-0", pattern: "plain", dash: [] },
  { colour: "line-1", pattern: "plain", dash: [6, 3] },
];

/**
 * By the region's place in the report: the stage's own order, so that a region has the same colour in each report of a
 * stage. From the seventh on colours come again.
 */
export function regionPaint(regions: readonly string[], region: string): Paint {
  const index = regions.indexOf(region);
  if (index < 0) return NOBODY_PAINT;
  const place = index % PATTERNS.length;
  return { colour: `region-${place}`, pattern: PATTERNS[place]!, dash: DASHES[place]! };
}
