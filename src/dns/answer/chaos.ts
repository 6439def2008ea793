/**
 * Class CHAOS: which server this is, for those who may know (RFC 4892).
 * @module
 */
import { type Step, VERDICT } from "#dns/answer/draft.ts";
import { CLASS } from "#dns/wire/classes.ts";
import { HEADER_OCTETS, POINTER_TO_QNAME } from "#dns/wire/header.ts";
import { parseName } from "#dns/wire/name.ts";
import { lowerOctets } from "#dns/wire/name-key.ts";
import { TYPE } from "#dns/wire/types.ts";
import { RESPONSE_KIND } from "#state/guard.ts";

const MAX_STRING_OCTETS = 255;

/** @param texts undefined: not told; the query is refused by its class then */
export function createChaos(texts: { readonly version: string | undefined; readonly id: string | undefined }): Step {
  const known = [
    ["version.bind.", texts.version],
    ["version.server.", texts.version],
    ["hostname.bind.", texts.id],
    ["id.server.", texts.id],
  ] as const;
  const entries = known.flatMap(([name, text]) =>
    text === undefined ? [] : [{ name: parseName(name) as Uint8Array, record: compileTxt(text) }],
  );
  return (draft) => {
    const { query, out } = draft;
    if (query.qclass !== CLASS.CH || (query.qtype !== TYPE.TXT && query.qtype !== TYPE.ANY)) return VERDICT.continue;
    lowerOctets(draft.request, HEADER_OCTETS, query.name);
    for (let index = 0; index < entries.length; index++) {
      const { name, record } = entries[index]!;
      if (name.length !== query.name.length || !isSame(name, query.name.octets)) continue;
      const end = query.questionEnd + record.length;
      if (end > draft.limitOctets) draft.isTruncated = true;
      else {
        out.set(record, query.questionEnd);
        draft.end = end;
        draft.neededEnd = end;
        draft.answerCount = 1;
      }
      draft.isAuthoritative = true;
      draft.kind = RESPONSE_KIND.answer;
      return VERDICT.done;
    }
    return VERDICT.continue;
  };
}

function isSame(name: Uint8Array, octets: Uint8Array): boolean {
  for (let index = 0; index < name.length; index++) if (name[index] !== octets[index]) return false;
  return true;
}

/** One TXT record of TTL 0, owner C00C: the text in strings of up to 255 octets. */
function compileTxt(text: string): Uint8Array {
  const octets = new TextEncoder().encode(text);
  const strings: number[] = octets.length === 0 ? [0] : [];
  for (let at = 0; at < octets.length; at += MAX_STRING_OCTETS) {
    const part = octets.subarray(at, at + MAX_STRING_OCTETS);
    strings.push(part.length, ...part);
  }
  const head = [POINTER_TO_QNAME >>> 8, POINTER_TO_QNAME & 0xff, 0, TYPE.TXT, 0, CLASS.CH, 0, 0, 0, 0];
  return Uint8Array.from([...head, strings.length >>> 8, strings.length & 0xff, ...strings]);
}
