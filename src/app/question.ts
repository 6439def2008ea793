/**
 * A question as people write it → what the explainer asks.
 *
 * `from` is a network (it then comes as a client subnet, through a resolver) or an address (which then asks directly).
 * @module
 */
import type { ExplainQuestion } from "#app/explainer.ts";
import { RhumbError } from "#base/errors.ts";
import { type Cidr, maskIp, parseIp, unmapIp } from "#base/ip.ts";
import { parseName } from "#dns/wire/name.ts";
import { typeNumber } from "#dns/wire/types.ts";

export type QuestionText = {
  readonly name: string;
  readonly type: string;
  readonly from: string;
  /** The resolver's address; with it, `from` comes as a client subnet even when it is an address. */
  readonly resolver?: string | undefined;
  readonly atMs: number;
};

/** What resolvers send by default (RFC 7871 §11.1). */
const SUBNET_BITS = { 4: 24, 16: 56 } as const;

/** @throws RhumbError RHUMB_APP_QUESTION */
export function readQuestion(text: QuestionText): ExplainQuestion {
  const fail = (what: string): never => {
    throw new RhumbError("RHUMB_APP_QUESTION", `${text.name} ${text.type} from ${text.from}: ${what}`);
  };
  const name = parseName(text.name);
  if (typeof name === "number") return fail("not a domain name");
  const type = typeNumber(text.type.toUpperCase());
  if (type < 0) return fail("no such record type");
  const [addressText = "", bitsText] = text.from.split("/");
  const parsed = parseIp(addressText);
  if (!parsed) return fail("not an address");
  const address = unmapIp(parsed);
  const most = address.length * 8;
  if (bitsText !== undefined && !(/^[0-9]{1,3}$/.test(bitsText) && Number(bitsText) <= most))
    return fail(`not a prefix length from 0 to ${most}`);
  const resolver = text.resolver === undefined ? undefined : parseIp(text.resolver);
  if (text.resolver !== undefined && !resolver) return fail(`${text.resolver} is not an address`);
  const bits = bitsText === undefined ? SUBNET_BITS[address.length as 4 | 16] : Number(bitsText);
  const hasSubnet = bitsText !== undefined || resolver !== undefined;
  const subnet: Cidr | undefined = hasSubnet ? { bytes: maskIp(address, bits), bits } : undefined;
  return { name, type, source: resolver ? unmapIp(resolver) : address, subnet, atMs: text.atMs };
}
