/**
 * One look at the DNS for a host name or SRV records: addresses, and for how long they may be believed.
 *
 * Never:   asks by `dns.lookup()`: that reads /etc/hosts, knows no TTL, and takes a thread of the pool that files need.
 * @module
 */
import type { Resolver } from "node:dns/promises";
import type { ResolvedName } from "#config/files.ts";

/** TTLs are cut to these: 1 s keeps a TTL of 0 from becoming a flood, 1 h keeps a slip in a zone from staying for days. */
const MIN_TTL_MS = 1_000;
const MAX_TTL_MS = 3_600_000;
/** More addresses than this behind one name are a mistake, or an attack. */
const MAX_ADDRESSES = 1_000;

/** The last answer for each question that had one: `db.internal/4`. Its owner keeps it from look to look. */
export type LastAnswers = Map<string, readonly string[]>;
export type NameAnswer = { readonly found: readonly ResolvedName[]; readonly ttlMs: number };

type Addresses = { readonly addresses: readonly string[]; readonly ttlMs: number };

/** "There is none" is an answer; that nobody answered is not. */
const isNone = (error: unknown): boolean =>
  ["ENODATA", "ENOTFOUND"].includes((error as NodeJS.ErrnoException).code ?? "");

const REASONS: Readonly<Record<string, string>> = {
  ENODATA: "it has no address",
  ENOTFOUND: "there is no such name",
  ESERVFAIL: "the name server answers SERVFAIL",
  EREFUSED: "the name server refuses to answer",
  ETIMEOUT: "the name server does not answer",
  ECONNREFUSED: "there is no name server",
};
export function reasonOf(error: unknown): string {
  const { code = "", message } = error as NodeJS.ErrnoException;
  return REASONS[code] ?? message;
}

/** @throws what the resolver says when both families have nothing, now or from before */
async function resolveHost(resolver: Resolver, host: string, last: LastAnswers): Promise<Addresses> {
  let fault: unknown;
  let hasAnswer = false;
  const ask = async (family: 4 | 6): Promise<Addresses> => {
    const question = `${host}/${family}`;
    try {
      const records = await (family === 4
        ? resolver.resolve4(host, { ttl: true })
        : resolver.resolve6(host, { ttl: true }));
      hasAnswer = true;
      const addresses = records.map(({ address }) => address).sort();
      last.set(question, addresses);
      return { addresses, ttlMs: Math.min(...records.map(({ ttl }) => ttl)) * 1_000 };
    } catch (error) {
      // Of two faults, the one that says more: IPv6 is missing of most names.
      if (fault === undefined || !isNone(error)) fault = error;
      // A family without an answer keeps what it had; one that is gone, is gone, if the other is there.
      return { addresses: isNone(error) ? [] : (last.get(question) ?? []), ttlMs: MAX_TTL_MS };
    }
  };
  const [v4, v6] = await Promise.all([ask(4), ask(6)]);
  if (!hasAnswer) throw fault;
  return { addresses: [...v4.addresses, ...v6.addresses], ttlMs: Math.min(v4.ttlMs, v6.ttlMs) };
}

/** SRV records (RFC 2782) with the addresses of their targets. The resolver tells no TTL of them: that of the targets counts. */
async function resolveService(resolver: Resolver, name: string, last: LastAnswers): Promise<NameAnswer> {
  // The target "." says that there is no such service here.
  const records = (await resolver.resolveSrv(name)).filter((record) => record.name !== "" && record.name !== ".");
  const targets = new Map<string, Addresses>();
  let fault: unknown = Object.assign(new Error("its SRV records name no server"), { code: "" });
  for (const target of new Set(records.slice(0, MAX_ADDRESSES).map((record) => record.name))) {
    try {
      targets.set(target, await resolveHost(resolver, target, last));
    } catch (error) {
      fault = error;
    }
  }
  const found = records.flatMap((record) =>
    (targets.get(record.name)?.addresses ?? []).map((address) => ({
      address,
      port: record.port,
      weight: record.weight,
      priority: record.priority,
    })),
  );
  if (found.length === 0) throw fault;
  return { found, ttlMs: Math.min(...[...targets.values()].map(({ ttlMs }) => ttlMs)) };
}

/**
 * @param last what was answered before; is changed
 * @returns answers in an order that does not depend on that of the records
 * @throws an error with a code of node:dns when there is nothing
 */
export async function resolveName(resolver: Resolver, name: string, last: LastAnswers): Promise<NameAnswer> {
  const isService = name.startsWith("_");
  const answer = isService
    ? await resolveService(resolver, name, last)
    : await resolveHost(resolver, name, last).then(({ addresses, ttlMs }) => ({
        found: addresses.map((address) => ({ address })),
        ttlMs,
      }));
  const orderOf = (one: ResolvedName): string =>
    `${String(one.priority ?? 0).padStart(5)} ${one.address} ${String(one.port ?? 0).padStart(5)}`;
  const found = [...answer.found].sort((a, b) => (orderOf(a) < orderOf(b) ? -1 : 1)).slice(0, MAX_ADDRESSES);
  return { found, ttlMs: Math.min(MAX_TTL_MS, Math.max(MIN_TTL_MS, answer.ttlMs)) };
}
