/**
 * Fields of configuration that speak of HTTP: names and values of fields, paths, host patterns, regular expressions.
 * @module
 */
import { z } from "zod";
import { refuse } from "#base/field.ts";
import { patternFault } from "#base/pattern.ts";

/** Text that `isGood` takes; what is written otherwise is said as a fault with `fix`. */
const checked = (expects: string, fix: string, isGood: (value: string) => boolean, turn = (value: string) => value) =>
  z
    .string()
    .transform((value, context): string => {
      if (isGood(value)) return turn(value);
      return refuse(context, `Must be ${expects}; is ${JSON.stringify(value.slice(0, 80))}`, fix);
    })
    .meta({ expects });

/** RFC 9110 §5.6.2. */
const TOKEN = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/;
/** Visible text of latin1 with spaces and tabs within (RFC 9110 §5.5). */
const VALUE = /^[\x21-\x7e\xa0-\xff](?:[\t\x20-\x7e\xa0-\xff]*[\x21-\x7e\xa0-\xff])?$|^$/;

/** In lower case. */
export const fieldName = checked(
  "the name of a field",
  "Use letters, digits and dashes",
  (value) => TOKEN.test(value),
  (value) => value.toLowerCase(),
);
/**
 * Fields that say how a message is framed, or belong to one connection (RFC 9110 §7.6.1): nobody's to write but ours. Host
 * is `upstream.host` of the pool.
 */
const OURS = [
  "connection",
  "content-length",
  "expect",
  "host",
  "http2-settings",
  "keep-alive",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
];
/** The name of a field that rules may write. */
export const ownField = z
  .string()
  .transform((value, context): string => {
    const name = value.toLowerCase();
    if (!TOKEN.test(value))
      return refuse(
        context,
        `Must be the name of a field; is ${JSON.stringify(value.slice(0, 80))}`,
        "Use letters, digits and dashes",
      );
    if (OURS.includes(name))
      return refuse(
        context,
        `\`${value}\` says how a message is framed or sent: it cannot be edited`,
        name === "host" ? "Write `upstream: { host: … }` into the pool" : "Remove it",
      );
    return name;
  })
  .meta({ expects: "the name of a field" });
export const cookieName = checked("the name of a cookie", "Use letters, digits, dashes and underscores", (value) =>
  TOKEN.test(value),
);
export const fieldValue = checked("the value of a field", "Use visible characters of one line", (value) =>
  VALUE.test(value),
);
export const method = checked("a method such as GET", "Write it in capitals, such as GET", (value) =>
  /^[A-Z][A-Z0-9_-]{0,31}$/.test(value),
);
export const requestPath = checked(
  "a path such as /api/",
  "Start it with /, without spaces, `?` and `#`; write it decoded, as ä rather than %C3%A4",
  (value) => /^\/[^\s\p{Cc}?#]*$/u.test(value),
);
export const hostPattern = checked(
  "a host name such as www.example.com or *.example.com",
  "Write it without scheme and port; other scripts in their xn-- form",
  (value) =>
    /^(\*\.)?[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*$/i.test(value) ||
    /^\[[0-9a-f:.]+\]$/i.test(value),
  (value) => value.toLowerCase(),
);

/** A regular expression of `base/pattern.ts`. */
export const pattern = z
  .string()
  .superRefine((value, context) => {
    const fault = patternFault(value);
    if (fault) refuse(context, `Is no regular expression that we take: ${fault.says}`, fault.fix);
  })
  .meta({ expects: "a regular expression", unit: "regular expression" });

const PLACEHOLDERS = ["client", "host", "path", "request_id", "sni", "cert_subject", "cert_fingerprint", "claim:NAME"];
/** Text with `{client}` and the like, and `$1`; `{{` stands for `{`, `$$` for `$`. */
export const template = z
  .string()
  .superRefine((value, context) => {
    if (!VALUE.test(value))
      refuse(context, "Must be visible characters of one line", "Remove line breaks and control characters");
    for (const [, name] of value.replaceAll("{{", "").matchAll(/\{([^}]*)\}?/g))
      if (!/^claim:.+$/.test(name!) && !PLACEHOLDERS.includes(name!))
        refuse(
          context,
          `There is no placeholder {${name}}`,
          `Known: ${PLACEHOLDERS.map((one) => `{${one}}`).join(", ")}; {{ stands for {`,
        );
  })
  .meta({ expects: "text, with placeholders such as {client}", unit: "template" });
