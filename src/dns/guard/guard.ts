/**
 * The guard of one worker: access lists, cookies, response rate limit behind the contract that the responder calls.
 *
 * Owns:    the order of exemptions: TCP is never asked about, valid cookies and the allow list are never limited.
 * Counts:  `dropped_acl`, `dropped_rrl`, `rrl_slipped`, `rrl_would_limit`, `cookies_valid`, `cookies_bad`.
 * @module
 */
import { parseCidr } from "#base/ip.ts";
import { createNetworkList, NO_RULE } from "#base/network-list.ts";
import { createCookies } from "#dns/guard/cookies.ts";
import { createRateLimit } from "#dns/guard/rrl.ts";
import { DNS_COUNTER } from "#state/counters.ts";
import { ADMIT, type Admit, COOKIE, type Cookie, type Guard, LIMIT, RESPONSE_KIND } from "#state/guard.ts";
import type { GuardSnapshot } from "#state/snapshot.ts";

const ADMIT_BY_ACTION = { allow: ADMIT.allow, refuse: ADMIT.refuse, drop: ADMIT.drop } as const;

/** Buckets by kind of response: what exists, what does not, what went wrong. Indexed by `RESPONSE_KIND`. */
const BUCKET_KIND = Uint8Array.from({ length: 5 });
BUCKET_KIND[RESPONSE_KIND.answer] = 0;
BUCKET_KIND[RESPONSE_KIND.referral] = 0;
BUCKET_KIND[RESPONSE_KIND.nodata] = 1;
BUCKET_KIND[RESPONSE_KIND.nxdomain] = 1;
BUCKET_KIND[RESPONSE_KIND.error] = 2;

/** Networks were checked when the config was; one that is no network any more matches nobody. */
const networksOf = (texts: readonly string[]) => texts.map((text) => parseCidr(text) ?? NOWHERE);
const NOWHERE = { bytes: new Uint8Array(16).fill(0xff), bits: 128 }; // all ones: a multicast address is no source

/**
 * @param options.workers UDP workers that share a listen address. The kernel spreads a client's queries over them by
 *   its source port, so each holds a client to its share of the rate.
 * @param options.counters the worker's block of `DNS_COUNTERS`
 * @param options.seed of the bucket hash; random per process
 */
export function createGuard(options: {
  snapshot: GuardSnapshot;
  workers: number;
  counters: Float64Array;
  seed: number;
}): Guard {
  const { counters } = options;
  const { rrl, cookies: cookieSettings, access } = options.snapshot;
  const accessList = createNetworkList(networksOf(access.map((rule) => rule.network)));
  const actions = Uint8Array.from(access, (rule) => ADMIT_BY_ACTION[rule.action]);
  const allowList = createNetworkList(networksOf(rrl.allow));
  const rateLimit = createRateLimit({
    ratePerSecond: Math.max(1, rrl.ratePerSecond / Math.max(1, options.workers)),
    tableSize: rrl.isEnabled ? rrl.tableSize : 0,
    seed: options.seed,
  });
  const hasCookies = cookieSettings.isEnabled && cookieSettings.secrets.length > 0;
  const cookies = createCookies(cookieSettings.secrets);
  let limited = 0;

  return {
    admit(client): Admit {
      if (accessList.isEmpty) return ADMIT.allow;
      const rule = accessList.find(client.address, client.isIpv6);
      if (rule === NO_RULE) return ADMIT.allow;
      const action = actions[rule]! as Admit;
      if (action === ADMIT.drop) counters[DNS_COUNTER.dropped_acl]! += 1;
      return action;
    },

    cookie(message, at, length, client, nowMs) {
      if (!hasCookies) return COOKIE.ignored;
      const verdict = cookies.check(message, at, length, client, nowMs);
      if (verdict === COOKIE.valid) counters[DNS_COUNTER.cookies_valid]! += 1;
      else if (verdict === COOKIE.bad) counters[DNS_COUNTER.cookies_bad]! += 1;
      return verdict;
    },

    writeCookie: cookies.write,

    limit(client, _nameHash, kind, _responseOctets, _requestOctets, cookie: Cookie, nowMs) {
      if (!rrl.isEnabled || cookie === COOKIE.valid) return LIMIT.send;
      if (!allowList.isEmpty && allowList.find(client.address, client.isIpv6) !== NO_RULE) return LIMIT.send;
      if (!rateLimit.isOver(client, BUCKET_KIND[kind]!, nowMs)) return LIMIT.send;
      if (rrl.isDryRun) {
        counters[DNS_COUNTER.rrl_would_limit]! += 1;
        return LIMIT.send;
      }
      limited = (limited + 1) | 0;
      if (rrl.slip === 0 || limited % rrl.slip !== 0) {
        counters[DNS_COUNTER.dropped_rrl]! += 1;
        return LIMIT.drop;
      }
      counters[DNS_COUNTER.rrl_slipped]! += 1;
      const mayProveItself = cookie === COOKIE.fresh || cookie === COOKIE.bad;
      return mayProveItself && cookieSettings.badCookieUnderLimit ? LIMIT.badCookie : LIMIT.truncate;
    },
  };
}
