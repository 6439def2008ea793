/** Times as callers write them: RFC 3339, or Unix ms. @module */
/** @returns Unix ms, or undefined when `text` is no time */
export function parseTime(text: string): number | undefined {
  if (/^[0-9]{1,16}$/.test(text)) return Number(text);
  // Date.parse takes much more than RFC 3339; a date alone is midnight UTC.
  if (!/^\d{4}-\d{2}-\d{2}(?:[Tt ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:[Zz]|[+-]\d{2}:\d{2}))?$/.test(text))
    return undefined;
  const ms = Date.parse(text.replace(" ", "T"));
  return Number.isNaN(ms) ? undefined : ms;
}
