/**
 * `$GENERATE`, BIND's way to write many like records as one: the range, and what `$` stands for in a template.
 *
 * `$` is the number, `${offset,width,base}` the number plus an offset, padded with zeros, in base d, o, x, X, n or N
 * (n: hex digits in reverse with dots between, for ip6.arpa); `$$` and `\$` are a dollar sign.
 * @module
 */
export type GenerateRange = { readonly start: number; readonly stop: number; readonly step: number };

/** `start-stop` or `start-stop/step`; @returns undefined when malformed */
export function parseGenerateRange(text: string): GenerateRange | undefined {
  const match = /^([0-9]{1,10})-([0-9]{1,10})(?:\/([0-9]{1,10}))?$/.exec(text);
  if (!match) return undefined;
  const start = Number(match[1]);
  const stop = Number(match[2]);
  const step = match[3] === undefined ? 1 : Number(match[3]);
  return start <= stop && stop < 2 ** 31 && step >= 1 ? { start, stop, step } : undefined;
}

export const generateCount = (range: GenerateRange): number => Math.floor((range.stop - range.start) / range.step) + 1;

/** @returns the template with `value` filled in, or undefined when what stands in braces is malformed */
export function fillTemplate(template: string, value: number): string | undefined {
  if (!template.includes("$")) return template;
  let text = "";
  for (let at = 0; at < template.length; ) {
    const character = template[at]!;
    if (character === "\\" && at + 1 < template.length) {
      text += template.slice(at, at + 2);
      at += 2;
    } else if (character !== "$") {
      text += character;
      at++;
    } else if (template[at + 1] === "$") {
      text += "\\$";
      at += 2;
    } else if (template[at + 1] === "{") {
      const end = template.indexOf("}", at);
      const filled = end < 0 ? undefined : fillBraces(template.slice(at + 2, end), value);
      if (filled === undefined) return undefined;
      text += filled;
      at = end + 1;
    } else {
      text += value;
      at++;
    }
  }
  return text;
}

function fillBraces(inside: string, value: number): string | undefined {
  const match = /^([+-]?[0-9]{1,10})(?:,([0-9]{1,3}))?(?:,([doxXnN]))?$/.exec(inside);
  if (!match) return undefined;
  const number = value + Number(match[1]);
  const width = Number(match[2] ?? 0);
  const base = match[3] ?? "d";
  if (width > 255 || number < 0) return undefined;
  switch (base) {
    case "d":
      return String(number).padStart(width, "0");
    case "o":
      return number.toString(8).padStart(width, "0");
    case "x":
      return number.toString(16).padStart(width, "0");
    case "X":
      return number.toString(16).toUpperCase().padStart(width, "0");
    default: {
      const text = nibbles(number, width);
      return base === "N" ? text.toUpperCase() : text;
    }
  }
}

/** Hex digits from the last to the first, dots between; `width` counts the dots. */
function nibbles(number: number, width: number): string {
  let text = "";
  do {
    text += (number % 16).toString(16);
    number = Math.floor(number / 16);
    if (text.length < width || number > 0) text += ".";
  } while (text.length < width || number > 0);
  return text;
}
