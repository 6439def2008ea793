/** LOC (RFC 1876): a place on the earth. @module */
import type { RdataType } from "#dns/wire/rdata/rdata-type.ts";
import { quote, type TextReader } from "#dns/wire/rdata/text-reader.ts";

/** Thousandths of an arc second from the equator and the prime meridian count from here (RFC 1876 §2). */
const MIDDLE = 2 ** 31;
/** Centimetres below the WGS 84 spheroid where altitudes start. */
const ALTITUDE_BASE_CM = 10_000_000;
const ADVICE = "Write such as 52 22 23.000 N 4 53 32.000 E -2.00m 1m 10000m 10m";

export const loc: RdataType = {
  example: "52 22 23.000 N 4 53 32.000 E -2.00m 1m 10000m 10m",
  parse(from) {
    const latitude = parseAngle(from, "latitude", 90, "N", "S");
    const longitude = parseAngle(from, "longitude", 180, "E", "W");
    const altitudeCm = parseMetres(from, "altitude", -100_000, 42_849_672.95);
    const sizes = [
      ["size", 100],
      ["horizontal precision", 1_000_000],
      ["vertical precision", 1_000],
    ] as const;
    from.putU8(0); // version
    for (const [field, defaultCm] of sizes) {
      const cm = from.hasMore() ? parseMetres(from, field, 0, 90_000_000) : defaultCm;
      let exponent = 0;
      let mantissa = cm;
      for (; mantissa >= 10; exponent++) mantissa = Math.floor(mantissa / 10);
      from.putU8((mantissa << 4) | exponent);
    }
    from.putU32(latitude);
    from.putU32(longitude);
    from.putU32(altitudeCm + ALTITUDE_BASE_CM);
  },
  format(from) {
    const version = from.u8("version");
    if (version !== 0) from.fail(`The version ${version} is unknown`, "Use version 0");
    const sizes = [formatSize(from.u8("size")), formatSize(from.u8("precision")), formatSize(from.u8("precision"))];
    if (sizes.includes("")) from.fail("A size or precision has a digit above 9", "Use decimal digits (RFC 1876 §2)");
    const latitude = from.u32("latitude") - MIDDLE;
    const longitude = from.u32("longitude") - MIDDLE;
    if (Math.abs(latitude) > 324_000_000) from.fail("The latitude is beyond 90 degrees", "Correct it");
    if (Math.abs(longitude) > 648_000_000) from.fail("The longitude is beyond 180 degrees", "Correct it");
    const altitudeCm = from.u32("altitude") - ALTITUDE_BASE_CM;
    const places = `${formatAngle(latitude, "N", "S")} ${formatAngle(longitude, "E", "W")}`;
    return `${places} ${(altitudeCm / 100).toFixed(2)}m ${sizes.join(" ")}`;
  },
};

function parseAngle(from: TextReader, field: string, maxDegrees: number, plus: string, minus: string): number {
  const parts: number[] = [];
  for (;;) {
    const text = from.word(field);
    if (from.problem) return 0;
    const upper = text.toUpperCase();
    if (parts.length > 0 && (upper === plus || upper === minus)) {
      const [degrees = 0, minutes = 0, seconds = 0] = parts;
      const total = Math.round((degrees * 3_600 + minutes * 60 + seconds) * 1_000);
      if (minutes >= 60 || seconds >= 60 || total > maxDegrees * 3_600_000) {
        from.fail(`The ${field} is out of range`, `Stay within ${maxDegrees} degrees, 59 minutes and 59.999 seconds`);
      }
      return MIDDLE + (upper === plus ? total : -total);
    }
    const pattern = parts.length === 2 ? /^[0-9]{1,2}(\.[0-9]{1,3})?$/ : /^[0-9]{1,3}$/;
    if (parts.length === 3 || !pattern.test(text)) {
      from.fail(`The ${field} ${quote(text)} is not understood`, ADVICE);
      return 0;
    }
    parts.push(Number(text));
  }
}

/** @returns centimetres */
function parseMetres(from: TextReader, field: string, min: number, max: number): number {
  const text = from.word(field);
  const match = /^(-?[0-9]{1,8}(?:\.[0-9]{1,2})?)m?$/.exec(text);
  const metres = match ? Number(match[1]) : Number.NaN;
  if (!(metres >= min && metres <= max)) {
    from.fail(`The ${field} ${quote(text)} is not metres from ${min} to ${max}`, ADVICE);
    return 0;
  }
  return Math.round(metres * 100);
}

function formatSize(octet: number): string {
  const mantissa = octet >>> 4;
  const exponent = octet & 15;
  if (mantissa > 9 || exponent > 9) return "";
  const cm = mantissa * 10 ** exponent;
  return cm % 100 === 0 ? `${cm / 100}m` : `${(cm / 100).toFixed(2)}m`;
}

function formatAngle(thousandths: number, plus: string, minus: string): string {
  const total = Math.abs(thousandths);
  const degrees = Math.floor(total / 3_600_000);
  const minutes = Math.floor((total % 3_600_000) / 60_000);
  return `${degrees} ${minutes} ${((total % 60_000) / 1_000).toFixed(3)} ${thousandths < 0 ? minus : plus}`;
}
