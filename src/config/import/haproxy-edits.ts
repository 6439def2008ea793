/**
 * `http-request` and `http-response` lines of HAProxy that write fields → `request` and `response` of rules.
 * @module
 */
import type { Match } from "#config/import/haproxy-match.ts";
import type { Line } from "#config/import/haproxy-read.ts";
import { type Notes, quoted } from "#config/import/notes.ts";

export type Edits = {
  readonly set: Record<string, string>;
  readonly add: Record<string, string>;
  readonly remove: string[];
};
const VERBS = new Set(["set-header", "add-header", "del-header"]);
/** Of a request's connection: nobody's to write but ours. */
const OURS =
  /^(connection|content-length|expect|host|http2-settings|keep-alive|proxy-connection|te|trailer|transfer-encoding|upgrade)$/i;
const NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,256}$/;
/** Sample expressions and variables of log formats that we have as well. */
const KNOWN: Readonly<Record<string, string>> = {
  "%[src]": "{client}",
  "%ci": "{client}",
  "%[path]": "{path}",
  "%[req.hdr(host)]": "{host}",
  "%[hdr(host)]": "{host}",
  "%[req.hdr(Host)]": "{host}",
  "%[hdr(Host)]": "{host}",
  "%[ssl_fc_sni]": "{sni}",
  "%[unique-id]": "{request_id}",
  "%ID": "{request_id}",
};

/** A log format as a template; undefined: it holds what we do not have. */
function templateOf(format: string): string | undefined {
  let isKnown = true;
  const text = format
    .split(/(%\[[^\]]*\]|%%|%[A-Za-z]+)/)
    .map((part, index) => {
      if (index % 2 === 0) return part.replaceAll("{", "{{").replaceAll("$", "$$$$");
      if (part === "%%") return "%";
      if (!Object.hasOwn(KNOWN, part)) isKnown = false;
      return KNOWN[part] ?? "";
    })
    .join("");
  return isKnown && /^[\x20-\x7e]+$/.test(text) ? text : undefined;
}

/** @param matchesOf what the condition of a line asks for: only what always or never holds is taken over */
export function createEdits(
  lines: readonly Line[],
  matchesOf: (words: readonly string[]) => readonly Match[] | undefined,
  notes: Notes,
  read: (line: Line) => void,
): { readonly request: Edits; readonly response: Edits } {
  const edits = { request: empty(), response: empty() };
  for (const line of lines) {
    const { words, at } = line;
    const [first = "", verb = "", name = "", format = ""] = words;
    const side = { "http-request": "request", "http-response": "response" }[first] as
      | "request"
      | "response"
      | undefined;
    if (side === undefined || !VERBS.has(verb)) continue;
    const leave = (says: string): void =>
      notes.leftOut(
        { ...at, directive: `${first} ${verb}` },
        says,
        "Write it into `request` or `response` of rules: docs/rules.md",
      );
    const when = matchesOf(words);
    if (when?.length === 0) {
      read(line);
      continue; // of the listener's other half, with TLS or without
    }
    if (when?.length !== 1 || Object.keys(when[0]!).length > 0)
      leave("Fields are written by all requests of a rule, not by a condition of their own");
    else if (!NAME.test(name) || OURS.test(name)) leave(`The field ${quoted(name)} cannot be written by rules`);
    else if (verb === "del-header") {
      if (words.includes("-m")) leave("Fields are removed by their whole name");
      else {
        edits[side].remove.push(name);
        read(line);
      }
    } else {
      const template = templateOf(format);
      if (template === undefined) leave(`The value ${quoted(format)} is made from what rules do not know`);
      else {
        edits[side][verb === "set-header" ? "set" : "add"][name] = template;
        read(line);
      }
    }
  }
  return edits;
}
const empty = (): Edits => ({ set: {}, add: {}, remove: [] });
