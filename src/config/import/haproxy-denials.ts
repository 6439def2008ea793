/**
 * Lines of HAProxy that keep requests out (`http-request deny`, `reject`, `silent-drop`, `tarpit`, `auth`) → rules that refuse.
 *
 * Never:   lets in whom the line keeps out. Where rules cannot say whom it means, they refuse more than it does, and a note
 *          says so; but for tests that count (`sc_http_req_rate` and the like), which would shut out everybody: those lines
 *          are left out, as they limit and do not guard.
 * @module
 */
import { compact } from "#config/import/draft.ts";
import type { Match, Matcher } from "#config/import/haproxy-match.ts";
import type { Line } from "#config/import/haproxy-read.ts";
import { type Notes, quoted } from "#config/import/notes.ts";

export type Rule = Readonly<Record<string, unknown>>;
/** Requests that match get the reply. */
export type Denial = { readonly match: Match; readonly reply: Rule };

const REFUSAL: Rule = { respond: { status: 403 } };
const REFUSES = new Set(["deny", "reject", "silent-drop", "tarpit", "auth"]);
export const isDenial = ({ words: [first, second = ""] }: Line): boolean =>
  first === "http-request" && REFUSES.has(second);

/** What stands behind a word of the line. */
export const after = (words: readonly string[], word: string): string | undefined => {
  const at = words.indexOf(word);
  return at < 0 ? undefined : words[at + 1];
};

/** Words of a line without its condition. */
export function unconditional(words: readonly string[]): readonly string[] {
  const end = words.findIndex((word) => word === "if" || word === "unless");
  return words.slice(0, end < 0 ? undefined : end);
}
const conditionText = (words: readonly string[]): string => quoted(words.slice(unconditional(words).length).join(" "));

/** @param words of `deny` or `return`. @returns undefined: it cannot be said in the same way */
export function respondOf(words: readonly string[], action: string): Rule | undefined {
  const status = after(words, action === "return" ? "status" : "deny_status") ?? after(words, "status");
  const number = Number(status ?? (action === "return" ? "200" : "403"));
  const needs = ["file", "lf-file", "lf-string", "errorfile", "errorfiles", "http-errors", "hdr", "default-errorfiles"];
  if (!(number >= 200 && number <= 599) || words.some((word) => needs.includes(word))) return undefined;
  return compact({ status: number, contentType: after(words, "content-type"), body: after(words, "string") });
}

const PASSWORDS =
  "Write `basicAuth` into the rules, with lines of `rhumb config hash-password`, and take the refusal out";

/**
 * @param line one that `isDenial`
 * @param matcher for which nobody has shown a password
 * @param read told of a line that was understood
 */
export function denialsOf(line: Line, matcher: Matcher, notes: Notes, read: (line: Line) => void): readonly Denial[] {
  const { words } = line;
  const action = words[1]!;
  const at = { ...line.at, directive: `http-request ${action}` };
  const isExact = matcher.exactly(words) !== undefined;
  if (!isExact && action !== "auth" && matcher.isCounted(words)) {
    const says = `Rules do not ask for what was counted: ${conditionText(words)}`;
    notes.leftOut(at, says, "Use `rateLimit` of a rule, or `limits: { client: … }`");
    return [];
  }
  read(line);
  const respond = action === "auth" ? undefined : respondOf(unconditional(words).slice(2), action);
  if (action === "auth") notes.changed(at, "Requests that were asked for a password get 403", PASSWORDS);
  else if (action !== "deny")
    notes.changed(at, "Such requests get 403 at once", "Use `access:` of the listener for addresses");
  else if (respond === undefined)
    notes.changed(at, "Such requests get 403, without the page or the fields", "Write them as a rule: docs/rules.md");
  if (!isExact && action !== "auth")
    notes.changed(
      at,
      `Rules cannot ask for all of ${conditionText(words)}: they refuse more requests than it means, and none fewer`,
      "Write the rule anew, as narrow as it was: docs/rules.md",
    );
  const reply = respond === undefined ? REFUSAL : { respond };
  return matcher.atLeast(words).map((match) => ({ match, reply }));
}
