/**
 * Fields of configuration: zod schemas for the values that operators write (`5s`, `64KiB`, `70%`, `192.0.2.0/24`).
 *
 * Owns:    how such a value is read, what is said when it is wrong, and what the settings page says of it.
 * Readers: every room's `config.ts`. Never imported by engines: they get numbers.
 * Units:   durations become ms, sizes octets, percentages numbers from 0 to 100, rates numbers per second.
 * @module
 */

import { z } from "zod";
import { formatCidr, formatIp, parseCidr, parseIp, parseIpv4, parseIpv6 } from "#base/ip.ts";
import { formatDurationMs, parseDurationMs, parseSizeOctets } from "#base/units.ts";

/** `live`: a reload applies it. `restart`: it is read at start; a reload that changes it says so. */
export type Reload = "live" | "restart";
export type FieldMeta = {
  /** What it is, in one or two sentences. */
  readonly description?: string;
  /** Completes "Must be …". */
  readonly expects?: string;
  /** Unit or form, for the settings page. */
  readonly unit?: string;
  /** Allowed range, for the settings page, where the JSON schema cannot say it. */
  readonly range?: string;
  readonly reload?: Reload;
};

/** Adds what people need to know to a schema, keeping what is known of it already. */
export function doc<T extends z.ZodType>(schema: T, description: string, more: FieldMeta = {}): T {
  return schema.meta({ ...schema.meta(), description, ...more }) as T;
}

/** Reports a wrong value with its fix; for use inside `transform` and `superRefine`. */
export function refuse(context: z.RefinementCtx, says: string, fix: string): never {
  context.addIssue({ code: "custom", message: says, params: { fix } });
  return z.NEVER;
}

type Range = { readonly min: number; readonly max: number };

/** Text that `read` turns into a number within `range`; `show` writes a bound of the range. */
function measured(
  expects: string,
  unit: string,
  range: Range,
  read: (text: string) => number | undefined,
  show: (value: number) => string,
) {
  const limits = `${show(range.min)} to ${show(range.max)}`;
  return z
    .string()
    .transform((text, context): number => {
      const value = read(text);
      if (value === undefined)
        return refuse(context, `Must be ${expects}; is ${JSON.stringify(text)}`, `Write ${expects}`);
      if (value < range.min || value > range.max)
        return refuse(context, `Must be ${limits}; is ${text}`, `Choose a value from ${limits}`);
      return value;
    })
    .meta({ expects, unit, range: limits });
}

/** `200ms`, `5s`, `10m`, `2h`, `1d` → ms. */
export const durationMs = (min: string, max: string) =>
  measured(
    "a duration such as 200ms, 5s or 10m",
    "duration",
    { min: parseDurationMs(min)!, max: parseDurationMs(max)! },
    parseDurationMs,
    formatDurationMs,
  );

/** Like `durationMs`, in whole seconds: what DNS counts in. */
export const wholeSeconds = (min: string, max: string) =>
  durationMs(min, max).transform((ms, context): number =>
    ms % 1_000 === 0
      ? ms / 1_000
      : refuse(context, `Must be whole seconds; is ${formatDurationMs(ms)}`, "DNS counts TTLs in seconds: round it"),
  );

const sizeText = (octets: number): string => {
  const [unit, factor] = octets >= 1_048_576 ? ["MiB", 1_048_576] : octets >= 1_024 ? ["KiB", 1_024] : ["B", 1];
  return `${octets / factor}${unit}`;
};
/** `512B`, `64KiB`, `8MiB` → octets. */
export const sizeOctets = (min: string, max: string) =>
  measured(
    "a size such as 64KiB",
    "size",
    { min: parseSizeOctets(min)!, max: parseSizeOctets(max)! },
    parseSizeOctets,
    sizeText,
  );

const suffixed = (suffix: string) => (text: string) => {
  const match = new RegExp(`^([0-9]+(?:\\.[0-9]+)?)${suffix}$`).exec(text);
  return match ? Number(match[1]) : undefined;
};
/** `70%` → 70. */
export const percent = (min = 0, max = 100) =>
  measured("a percentage such as 70%", "percentage", { min, max }, suffixed("%"), (value) => `${value}%`);
/** `1000rps` → 1000. */
export const requestsPerSecond = (min: number, max: number) =>
  measured("a rate such as 1000rps", "requests per second", { min, max }, suffixed("rps"), (value) => `${value}rps`);
/** `50km` → 50. */
export const kilometres = (min: number, max: number) =>
  measured("a distance such as 50km", "kilometres", { min, max }, suffixed("km"), (value) => `${value}km`);

export const integer = (min: number, max: number) =>
  z
    .int()
    .min(min)
    .max(max)
    .meta({ expects: `a whole number from ${min} to ${max}` });
export const flag = () => z.boolean().meta({ expects: "true or false" });
export const text = (expects = "text") => z.string().min(1, { error: "Must not be empty" }).meta({ expects });

/** Lower-case names of regions, services, checks, tokens and vantages. */
export const NAME_PATTERN = /^[a-z0-9][a-z0-9._-]{0,62}$/;
export const name = (of: string) =>
  z
    .string()
    .superRefine((value, context) => {
      if (!NAME_PATTERN.test(value))
        refuse(
          context,
          `Must be ${of}; is ${JSON.stringify(value)}`,
          "Use up to 63 lower-case letters, digits, dots, dashes and underscores; start with a letter or digit",
        );
    })
    .meta({ expects: of });

/** A path; relative ones start at the folder of rhumb.yaml. */
export const path = () =>
  text("a path, relative to the folder of rhumb.yaml").meta({ unit: "path", expects: "a path" });

/** An address in its canonical text (RFC 5952); `family` narrows it. */
export const ipAddress = (family?: 4 | 6) => {
  const expects = family === 4 ? "an IPv4 address" : family === 6 ? "an IPv6 address" : "an IP address";
  const example = family === 6 ? "2001:db8::1" : "192.0.2.1";
  return z
    .string()
    .transform((value, context): string => {
      const bytes = family === 4 ? parseIpv4(value) : family === 6 ? parseIpv6(value) : parseIp(value);
      if (bytes) return formatIp(bytes);
      const isOther = family !== undefined && parseIp(value) !== undefined;
      const fix = isOther ? `Move it to \`v${family === 4 ? 6 : 4}\`` : `Write an address such as ${example}`;
      return refuse(context, `Must be ${expects}; is ${JSON.stringify(value)}`, fix);
    })
    .meta({ expects, unit: "IP address" });
};

/** A network in canonical text. */
export const network = () =>
  z
    .string()
    .transform((value, context): string => {
      const cidr = parseCidr(value);
      if (cidr) return formatCidr(cidr);
      const bytes = parseIp(value.split("/")[0]!);
      const fix = bytes
        ? "Clear the bits beyond the prefix length, and keep the length within the address"
        : "Write a network such as 192.0.2.0/24 or 2001:db8::/32";
      return refuse(context, `Must be a network; is ${JSON.stringify(value)}`, fix);
    })
    .meta({ expects: "a network such as 192.0.2.0/24", unit: "CIDR" });

/** @returns address and port of `192.0.2.1:53` or `[2001:db8::1]:53`, or undefined */
export function parseHostPort(value: string): { address: string; port: number } | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):([0-9]{1,5})$/.exec(value);
  const bytes = match && (match[1] === undefined ? parseIpv4(match[2]!) : parseIpv6(match[1]));
  const port = match ? Number(match[3]) : Number.NaN;
  return bytes && port <= 65_535 ? { address: formatIp(bytes), port } : undefined;
}
export const hostPort = () =>
  z
    .string()
    .transform((value, context): { address: string; port: number } => {
      const parsed = parseHostPort(value);
      if (parsed) return parsed;
      return refuse(
        context,
        `Must be address:port; is ${JSON.stringify(value)}`,
        'Write an IP address and a port, such as "127.0.0.1:5300" or "[::1]:5300"',
      );
    })
    .meta({ expects: "address:port", unit: "address:port" });

/** A secret by reference, resolved when the configuration is loaded: it never stands in a file that is shown. */
export const SECRET_PATTERN = /^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$/;
export const secret = () =>
  z
    .string()
    .superRefine((value, context) => {
      // The value is not repeated: it may be the secret itself.
      if (!SECRET_PATTERN.test(value))
        refuse(context, "Must be a reference to a secret, not the secret itself", "Write env:NAME or file:PATH");
    })
    .meta({ expects: "env:NAME or file:PATH", unit: "secret" });

/** `[latitude, longitude]` in degrees. */
export const coordinates = () =>
  z
    .tuple([
      z.number().min(-90).max(90).meta({ expects: "a latitude from -90 to 90" }),
      z.number().min(-180).max(180).meta({ expects: "a longitude from -180 to 180" }),
    ])
    .meta({ expects: "[latitude, longitude] in degrees", unit: "degrees", range: "-90 to 90, -180 to 180" });

const CONTINENTS = ["AF", "AN", "AS", "EU", "NA", "OC", "SA"] as const;
export const continent = () => z.enum(CONTINENTS).meta({ expects: `a continent: ${CONTINENTS.join(", ")}` });
export const country = () =>
  z
    .string()
    .superRefine((value, context) => {
      if (!/^[A-Z]{2}$/.test(value))
        refuse(
          context,
          `Must be a country code; is ${JSON.stringify(value)}`,
          "Write the two capital letters of ISO 3166-1, such as DE",
        );
    })
    .meta({ expects: "a country code such as DE", unit: "ISO 3166-1" });
export const asn = () => integer(1, 4_294_967_295).meta({ expects: "an AS number from 1 to 4294967295" });

export const url = (...schemes: readonly string[]) =>
  z
    .string()
    .superRefine((value, context) => {
      if (!URL.canParse(value) || !schemes.includes(new URL(value).protocol.slice(0, -1)))
        refuse(
          context,
          `Must be a URL; is ${JSON.stringify(value)}`,
          `Start it with ${schemes.map((scheme) => `${scheme}://`).join(" or ")}`,
        );
    })
    .meta({ expects: "a URL", unit: "URL" });
