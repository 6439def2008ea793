/**
 * Conditions of HAProxy (`acl`, `if`, `unless`) as far as layer 4 sees what they ask for: the client's address, and the
 * name that it asks for by TLS.
 * @module
 */

import { readCondition } from "#config/import/haproxy-condition.ts";
import type { ProxySection } from "#config/import/haproxy-proxy.ts";
import { parseNetwork } from "#config/import/words.ts";

/** One thing that a condition asks for. */
export type Test =
  | { readonly kind: "source"; readonly networks: readonly string[]; readonly isNot: boolean }
  | { readonly kind: "sni"; readonly names: readonly string[]; readonly isHost: boolean }
  | { readonly kind: "hello" }
  | { readonly kind: "always" }
  | { readonly kind: "unknown"; readonly text: string };

const ACL_FLAGS = new Set(["-i", "-n", "-u", "--"]);
const SNI = /^(req\.ssl_sni|req_ssl_sni|ssl_fc_sni)(,lower)?(?:_(end|dom|beg|reg|sub))?$/;
const HOST = /^(?:req\.)?hdr(?:_(end|dom|beg|reg|sub|dir))?\(host\)(,lower|,field\(1,:\)|,host_only)*$/i;
const NAME = /^(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$/;

/** @param words of an `acl` without its name, or of a `{ … }` */
function readTest(words: readonly string[]): Test {
  const [fetch = "", ...rest] = words;
  const unknown: Test = { kind: "unknown", text: words.join(" ") };
  if (fetch === "always_true" || fetch === "TRUE") return { kind: "always" };
  if (/^(req\.ssl_hello_type|req_ssl_hello_type)$/.test(fetch)) return { kind: "hello" };
  let suffix = "";
  const values: string[] = [];
  for (let index = 0; index < rest.length; index++) {
    const word = rest[index]!;
    if (word === "-m") suffix = rest[++index] ?? "";
    else if (word === "-f" || word === "-M") return unknown;
    else if (!ACL_FLAGS.has(word)) values.push(word.toLowerCase());
  }
  if (values.length === 0) return unknown;
  if (fetch === "src") {
    const networks = values.map(parseNetwork);
    return networks.every((network) => network !== undefined) ? { kind: "source", networks, isNot: false } : unknown;
  }
  const match = SNI.exec(fetch) ?? HOST.exec(fetch);
  if (!match) return unknown;
  const isHost = !SNI.test(fetch);
  const how = suffix || (isHost ? match[1] : match[3]) || "str";
  const names = values.flatMap((value) => {
    if (how === "str") return [value.replace(/\.$/, "")];
    // `.example.com` at the end of a name: all below it.
    return how === "end" && value.startsWith(".") ? [`*${value}`] : [];
  });
  const isWhole = names.length === values.length && names.every((name) => NAME.test(name) && name.length <= 253);
  return isWhole ? { kind: "sni", names, isHost } : unknown;
}

export type Condition = {
  /** All of them have to hold; undefined: the line has no condition. */
  readonly tests: readonly Test[] | undefined;
};

/** Alternatives of one ACL, and networks of one listener: as many as our settings take. */
export const MAX_TESTS = 4_096;

export type Acls = ReadonlyMap<string, readonly Test[]>;
/** ACLs by name; several lines of one name are alternatives. */
export function aclsOf(proxy: ProxySection): Acls {
  const acls = new Map<string, Test[]>();
  for (const { words } of proxy.own) {
    if (words[0] !== "acl" || words[1] === undefined) continue;
    const tests = acls.get(words[1]) ?? [];
    acls.set(words[1], tests);
    if (tests.length < MAX_TESTS) tests.push(readTest(words.slice(2)));
  }
  return acls;
}

/** Alternatives as one test, where they ask for the same kind of thing. */
function either(tests: readonly Test[], text: string): Test {
  const [first] = tests;
  if (!first || tests.length === 1) return first ?? { kind: "unknown", text };
  if (tests.every((test) => test.kind === "sni")) {
    return { kind: "sni", names: tests.flatMap(({ names }) => names), isHost: tests.some(({ isHost }) => isHost) };
  }
  if (tests.every((test) => test.kind === "source" && !test.isNot))
    return {
      kind: "source",
      networks: tests.flatMap((test) => (test.kind === "source" ? test.networks : [])),
      isNot: false,
    };
  return { kind: "unknown", text };
}

/**
 * @param words of the whole line
 * @returns alternatives, each a list of tests that must all hold; undefined where there is no condition
 */
export function conditionOf(words: readonly string[], acls: Acls): Test[][] | undefined {
  const condition = readCondition(words);
  if (condition === undefined) return undefined;
  const alternatives = condition.alternatives.map((terms) =>
    terms.map(({ isNot, name, test: inner }) => {
      const test: Test =
        inner !== undefined
          ? readTest(inner)
          : name === "TRUE"
            ? { kind: "always" }
            : either(acls.get(name) ?? [], name);
      return isNot ? negate(test, name) : test;
    }),
  );
  if (!condition.isUnless) return alternatives;
  const only = alternatives.length === 1 && alternatives[0]!.length === 1 ? alternatives[0]![0]! : undefined;
  return [[only ? negate(only, words.join(" ")) : { kind: "unknown", text: condition.text }]];
}

const negate = (test: Test, text: string): Test =>
  test.kind === "source" ? { ...test, isNot: !test.isNot } : { kind: "unknown", text: `!${text}` };
