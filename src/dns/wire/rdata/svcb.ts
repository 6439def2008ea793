/**
 * SVCB and HTTPS (RFC 9460): how to reach a service. Parameters go out in ascending order of their keys, whatever the
 * order in the file (§2.2); what `mandatory` names must be there (§8).
 * @module
 */
import type { RdataType } from "#dns/wire/rdata/rdata-type.ts";
import { encodeSvcbValue, formatSvcbParam, SVCB_KEY, svcbKeyNumber, svcbKeyText } from "#dns/wire/rdata/svcb-params.ts";
import { quote, type TextReader } from "#dns/wire/rdata/text-reader.ts";
import type { WireProblem } from "#dns/wire/rdata/wire-reader.ts";

export const svcb: RdataType = {
  example: '1 svc.example.net. alpn="h2,h3" port=8443',
  parse(from) {
    from.u16("priority");
    from.name("target");
    const params = new Map<number, Uint8Array>();
    while (from.hasMore()) parseParam(from, params);
    const problem = paramsProblem(params);
    if (problem) from.fail(problem.says, problem.fix);
    for (const key of [...params.keys()].sort((left, right) => left - right)) {
      const value = params.get(key)!;
      from.putU16(key);
      from.putU16(value.length);
      from.putBytes(value);
    }
  },
  format(from) {
    const texts = [String(from.u16("priority")), from.name("target")];
    const params = new Map<number, Uint8Array>();
    let lastKey = -1;
    while (from.hasMore()) {
      const key = from.u16("parameter's key");
      const value = from.bytes(from.u16("parameter's length"), `value of ${svcbKeyText(key)}`);
      if (key <= lastKey) from.fail("The parameters are not in ascending order of their keys", "Order them, each once");
      if (key === 0xffff) from.fail("The key 65535 is reserved", "Use another key");
      lastKey = key;
      params.set(key, value);
      const text = formatSvcbParam(key, value);
      if (typeof text === "string") texts.push(text);
      else from.fail(text.says, text.fix);
    }
    const problem = paramsProblem(params);
    if (problem) from.fail(problem.says, problem.fix);
    return texts.join(" ");
  },
  names: { at: 2, count: 1, isCompressible: false, isLowerInCanonicalForm: false },
};

function parseParam(from: TextReader, params: Map<number, Uint8Array>): void {
  const word = from.word("parameter");
  const equals = word.indexOf("=");
  const keyText = equals < 0 ? word : word.slice(0, equals);
  const key = svcbKeyNumber(keyText);
  if (key < 0) {
    const known = Object.keys(SVCB_KEY).join(", ");
    from.fail(`The parameter ${quote(keyText)} is unknown`, `Use ${known}, or keyNNN`);
    return;
  }
  if (params.has(key)) {
    from.fail(`The parameter ${svcbKeyText(key)} stands twice`, "Write it once, with all values in one list");
    return;
  }
  let text = equals < 0 ? undefined : word.slice(equals + 1);
  if (text !== undefined && text.length >= 2 && text.startsWith('"') && text.endsWith('"')) text = text.slice(1, -1);
  const value = encodeSvcbValue(key, text);
  if (value instanceof Uint8Array) params.set(key, value);
  else from.fail(value.says, value.fix);
}

/** Rules that hold between parameters. */
function paramsProblem(params: ReadonlyMap<number, Uint8Array>): WireProblem | undefined {
  if (params.has(SVCB_KEY["no-default-alpn"]) && !params.has(SVCB_KEY.alpn)) {
    return { says: "no-default-alpn stands without alpn", fix: "Add alpn, or remove no-default-alpn" };
  }
  const mandatory = params.get(SVCB_KEY.mandatory) ?? new Uint8Array(0);
  let last = -1;
  for (let at = 0; at + 1 < mandatory.length; at += 2) {
    const key = (mandatory[at]! << 8) | mandatory[at + 1]!;
    if (key === SVCB_KEY.mandatory) return { says: "mandatory names itself", fix: "Remove it from its list" };
    if (key <= last) return { says: `mandatory names ${svcbKeyText(key)} twice or out of order`, fix: "Name it once" };
    if (!params.has(key)) {
      return { says: `mandatory names ${svcbKeyText(key)}, which is not there`, fix: "Add it, or do not require it" };
    }
    last = key;
  }
  return undefined;
}

/** Whether the resource data of a well-formed SVCB or HTTPS record has the parameter. */
export function hasSvcbParam(rdata: Uint8Array, key: number): boolean {
  let at = 2;
  while (at < rdata.length && rdata[at] !== 0) at += 1 + rdata[at]!;
  for (at++; at + 4 <= rdata.length; at += 4 + ((rdata[at + 2]! << 8) | rdata[at + 3]!)) {
    if (((rdata[at]! << 8) | rdata[at + 1]!) === key) return true;
  }
  return false;
}
