/**
 * Values with placeholders: `{client}`, `{host}`, `{path}`, `{request_id}`, `{sni}`, `{claim:NAME}`, `{cert_subject}`,
 * `{cert_fingerprint}`, `$1`; `{{` and `$$` stand for themselves.
 *
 * Owns:    rule R43: what comes out is looked at again before it is used, as clients have a hand in it.
 * @module
 */
import { isFieldValue } from "#l7/http1/grammar.ts";
import type { HttpRequest } from "#l7/request.ts";
import { claimText } from "#l7/rules/claims.ts";

/** @param groups what `$0`, `$1`, … stand for */
export type Template = (request: HttpRequest, groups: readonly string[]) => string;

const PLACE = /\{\{|\{([^}]*)\}|\$\$|\$([0-9])/g;

function placeholder(name: string): Template {
  if (name.startsWith("claim:")) {
    const claim = name.slice(6);
    return ({ claims }) => claimText(claims, claim) ?? "";
  }
  switch (name) {
    case "client":
      return ({ client }) => client;
    case "host":
      return ({ host }) => host;
    case "path":
      return ({ path }) => path;
    case "request_id":
      return ({ requestId }) => requestId;
    case "sni":
      return ({ arrived }) => arrived.tls?.serverName ?? "";
    case "cert_subject":
      return ({ arrived }) => arrived.tls?.peer?.subject ?? "";
    case "cert_fingerprint":
      return ({ arrived }) => arrived.tls?.peer?.fingerprint ?? "";
    default:
      return () => "";
  }
}

export function compileTemplate(text: string): Template {
  const parts: (string | Template)[] = [];
  let at = 0;
  for (const match of text.matchAll(PLACE)) {
    parts.push(text.slice(at, match.index));
    at = match.index + match[0].length;
    const [whole, name, group] = match;
    if (whole === "{{") parts.push("{");
    else if (whole === "$$") parts.push("$");
    else if (name !== undefined) parts.push(placeholder(name));
    else parts.push((_request, groups) => groups[Number(group)] ?? "");
  }
  parts.push(text.slice(at));
  const kept = parts.filter((part) => part !== "");
  if (kept.every((part) => typeof part === "string")) {
    const fixed = kept.join("");
    return () => fixed;
  }
  return (request, groups) => {
    let value = "";
    for (const part of kept) value += typeof part === "string" ? part : part(request, groups);
    return value;
  };
}

/** @returns the text as a field's value, in UTF-8; undefined: it cannot be sent (CR, LF, NUL, controls) */
export function fieldValueOf(text: string): string | undefined {
  const value = /[^\x20-\x7e]/.test(text) ? Buffer.from(text, "utf8").toString("latin1") : text;
  return isFieldValue(value) ? value.trim() : undefined;
}

/** @param path decoded; @returns it as it may stand in a request line or in Location */
export function encodePath(path: string): string {
  const encoded = encodeURI(path.toWellFormed());
  return /[?#[\]]/.test(encoded) ? encoded.replace(/[?#[\]]/g, encodeURIComponent) : encoded;
}
