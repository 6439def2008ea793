/**
 * Cross checks of the `balancer:` section: what listeners, pools and checks say of each other.
 * @module
 */
import { parseIp } from "#base/ip.ts";
import { unusableReason } from "#config/address.ts";
import { checkHttp, checkHttpPool } from "#config/check-http.ts";
import { checkOne } from "#config/check-places.ts";
import { isUdpAlone, listenersOf } from "#config/compile-balancer.ts";
import { isHttp } from "#config/compile-http.ts";
import { checkTls, endsTls } from "#config/compile-tls.ts";
import { type ConfigFiles, certificateKey } from "#config/files.ts";
import type { ParsedConfig } from "#config/parse.ts";
import type { BalancerConfig } from "#config/parse-balancer.ts";
import { listWords, type Report } from "#config/report.ts";
import { suggest } from "#config/suggest.ts";
import { checkUpstreamSource } from "#config/upstream-source.ts";
import type { Path } from "#config/yaml.ts";
import type { ListenerConfig } from "#l4/config.ts";
import type { PoolConfig } from "#pool/config.ts";

export type Say = (path: Path, says: string, fix: string, where?: Parameters<Report>[4]) => void;

function checkRoutes(balancer: BalancerConfig, { pool, sni }: ListenerConfig, say: Say): void {
  const look = (name: string, path: Path): void => {
    if (!balancer.pools.has(name))
      say(path, `There is no pool ${JSON.stringify(name)}`, suggest(name, [...balancer.pools.names], "pool"));
  };
  if (pool !== undefined) look(pool, ["pool"]);
  const routes = Array.isArray(sni)
    ? sni.map((route, index) => ({ ...route, path: ["sni", index], at: ["sni", index, "pool"] }))
    : Object.entries(sni).map(([name, target]) => {
        const path = ["sni", name];
        return { names: name, alpn: [], pool: target, path, at: path };
      });
  /** Names that a route without ALPN takes whole: none of them comes any further. */
  const taken = new Set<string>();
  for (const route of routes) {
    look(route.pool, route.at);
    const names = Array.isArray(route.names) ? route.names : [route.names];
    if (names.every((name) => taken.has(name) || taken.has("*")))
      say(route.path, `No client gets to this route: those before it match all of ${listWords(names)}`, "Move it up", {
        severity: "warning",
        want: "key",
      });
    if (route.alpn.length === 0) for (const name of names) taken.add(name);
  }
}

function checkProtocol(listener: ListenerConfig, say: Say): void {
  const { protocol, pool, sni, certificates, rules } = listener;
  const seesNames = protocol === "tls" || protocol === "tls-passthrough";
  const doesTls = endsTls(listener);
  const hasRoutes = Array.isArray(sni) ? sni.length > 0 : Object.keys(sni).length > 0;
  if (hasRoutes && isHttp(listener))
    say(["sni"], `\`protocol: ${protocol}\` goes by requests`, "Write `rules:` that match `host`", { want: "key" });
  else if (hasRoutes && !seesNames)
    say(["sni"], `\`protocol: ${protocol}\` sees no names`, "Write `protocol: tls-passthrough`, or `pool:` alone", {
      want: "key",
    });
  if (pool === undefined && !hasRoutes && rules.length === 0)
    say(
      [],
      "The listener leads to no pool",
      seesNames ? "Add `pool:` or `sni:`" : isHttp(listener) ? "Add `pool:` or `rules:`" : "Add `pool:`",
      { want: "key" },
    );
  if (doesTls && certificates.length === 0 && !listener.tls?.acme)
    say(
      [],
      `\`protocol: ${protocol}\` needs a certificate`,
      "Add `certificates:` with `cert:` and `key:`, or `tls: { acme: … }`",
      {
        want: "key",
      },
    );
  if (certificates.length > 0 && !doesTls)
    say(
      ["certificates"],
      `\`protocol: ${protocol}\` does not end TLS`,
      `Remove it, or write \`protocol: ${protocol === "http" ? "https" : "tls"}\``,
      { want: "key" },
    );
  if (listener.alpn.length > 0 && protocol !== "tls")
    say(
      ["alpn"],
      protocol === "https"
        ? "`protocol: https` offers h2 and http/1.1 by itself"
        : `\`protocol: ${protocol}\` does not end TLS`,
      protocol === "https"
        ? "Remove it; `http: { http2: { enabled: false } }` leaves h2 out"
        : "Remove it, or write `protocol: tls`",
      { want: "key" },
    );
  if (listener.proxyProtocol && protocol === "udp")
    say(["proxyProtocol"], "There is no PROXY header over UDP", "Remove it", { want: "key" });
}

function checkCertificates({ certificates }: ListenerConfig, files: ConfigFiles, nowMs: number, say: Say): void {
  for (const [index, { cert, key }] of certificates.entries()) {
    const facts = files.certificates.get(certificateKey(cert, key));
    if (!facts) continue;
    if ("fault" in facts) say(["certificates", index, facts.setting], facts.fault, facts.fix);
    else if (facts.notAfterMs <= nowMs)
      say(
        ["certificates", index, "cert"],
        `The certificate ended on ${new Date(facts.notAfterMs).toISOString().slice(0, 10)}`,
        "Renew it: clients refuse it",
        { severity: "warning" },
      );
  }
}

function checkCheck(parsed: ParsedConfig, balancer: BalancerConfig, name: string, check: unknown, say: Say): void {
  if (check === undefined && isUdpAlone(balancer, name))
    say(
      [],
      "The pool is reached over UDP alone and has no check: all of its backends count as healthy",
      "Add `check:`, such as `check: { kind: dns, name: example.com }`, or `check: none`",
      {
        severity: "warning",
        want: "key",
      },
    );
  if (typeof check === "string" && check !== "none" && !parsed.checkNames.has(check)) {
    const fix = suggest(check, [...parsed.checkNames, "none"], "check");
    say(["check"], `There is no check ${JSON.stringify(check)}`, fix);
  }
}

const familyOf = (address: string): string => (parseIp(address)?.length === 4 ? "IPv4" : "IPv6");

/** What the kernel can do, and what it needs. */
function checkKernelMode(balancer: BalancerConfig, name: string, pool: PoolConfig, say: Say, report: Report): void {
  if (pool.mode === "proxy") return;
  const mode = `\`mode: ${pool.mode}\``;
  if (pool.mode !== "nft" && balancer.settings && balancer.settings.nft.device === undefined)
    say(["mode"], `${mode} needs to know the network device`, "Add `nft: { device: eth0 }` to the balancer");
  if (pool.sticky?.store === "redis")
    say(["sticky", "store"], `With ${mode} the kernel remembers clients, and asks no Redis`, "Write `store: memory`");
  if (pool.proxyProtocol !== undefined)
    say(
      ["proxyProtocol"],
      `With ${mode} nobody writes a PROXY header`,
      "Remove it: backends see the client's address",
      {
        want: "key",
      },
    );
  /** Listeners by what the kernel tells answers apart by. */
  const places = new Map<string, string>();
  /** Backends whose port has been spoken of. */
  const told = new Set<number>();
  for (const [listener, { listen, protocol, proxyProtocol }] of listenersOf(balancer, name)) {
    const path = [...balancer.listeners.path, listener];
    const refuse = (key: string, says: string, fix: string): void =>
      report(balancer.listeners.source, [...path, key], says, fix);
    if (protocol !== "tcp" && protocol !== "udp")
      refuse(
        "protocol",
        `The pool ${JSON.stringify(name)} has ${mode}: the kernel knows no ${protocol.startsWith("http") ? "HTTP" : "TLS"}`,
        "Write `protocol: tcp`",
      );
    if (proxyProtocol)
      refuse(
        "proxyProtocol",
        `The pool ${JSON.stringify(name)} has ${mode}: the kernel reads no PROXY header`,
        "Remove it, or write `mode: proxy` into the pool",
      );
    if (pool.mode !== "nft" && unusableReason(listen.address) !== undefined)
      refuse(
        "listen",
        `${mode} of the pool ${JSON.stringify(name)} needs an address, not ${listen.address}`,
        "Write one",
      );
    const family = familyOf(listen.address);
    const endpoints = pool.backends.map((backend) => ("host" in backend ? backend : backend.address));
    if (endpoints.length > 0 && endpoints.every((one) => one && !one.isName && familyOf(one.host) !== family))
      refuse(
        "pool",
        `The pool ${JSON.stringify(name)} has no ${family} backend: with ${mode} clients and backends are of one family`,
        `Add ${family} backends, or write \`mode: proxy\` into the pool`,
      );
    const place = `${protocol} ${family}`;
    const twin = places.get(place);
    if (pool.mode === "nft-stateless" && twin !== undefined)
      refuse(
        "pool",
        `The pool ${JSON.stringify(name)} has ${mode} and serves ${JSON.stringify(twin)} already: nobody could tell whose answers are whose`,
        "Use `mode: nft`, or backends with other ports in a pool of their own",
      );
    places.set(place, listener);
    if (pool.mode !== "nft-dsr") continue;
    for (const [index, endpoint] of endpoints.entries()) {
      if (!endpoint || endpoint.port === listen.port || told.has(index)) continue;
      told.add(index);
      say(
        ["backends", index],
        `With ${mode} the packet keeps its port ${listen.port}; the backend has port ${endpoint.port}`,
        `Let the backend listen on port ${listen.port}, or write \`mode: nft\``,
      );
    }
  }
}

function checkPool(parsed: ParsedConfig, balancer: BalancerConfig, name: string, pool: PoolConfig, say: Say): void {
  const listeners = listenersOf(balancer, name);
  if (listeners.length === 0 && balancer.listeners.valid.size === balancer.listeners.names.size)
    say([], `No listener leads to the pool ${JSON.stringify(name)}`, "Name it in a listener, or remove it", {
      severity: "warning",
      want: "key",
    });
  const source = balancer.settings?.source;
  const hasTable = source !== undefined && (source.pools.length === 0 || source.pools.includes(name));
  if (pool.backends.length === 0 && !hasTable)
    say([], `The pool ${JSON.stringify(name)} has no backend`, "Add some to `backends:`, or by the API", {
      severity: "warning",
      want: "key",
    });
  else if (!hasTable && pool.backends.every((backend) => !("host" in backend) && backend.weight === 0))
    say(["backends"], `All backends of ${JSON.stringify(name)} have the weight 0: they get no clients`, "Raise one", {
      severity: "warning",
      want: "key",
    });
  if (pool.sticky?.store === "redis" && parsed.root.cluster && parsed.root.cluster.redis === undefined)
    say(["sticky", "store"], "`store: redis` needs a Redis", "Add `cluster: { redis: … }`, or write `store: memory`");
  if (pool.proxyProtocol !== undefined && listeners.some(([, { protocol }]) => protocol === "udp"))
    say(["proxyProtocol"], "There is no PROXY header over UDP", "Use a pool of its own for UDP", { want: "key" });
  checkCheck(parsed, balancer, name, pool.check, say);
  const inline = balancer.checks.get(name);
  if (inline) checkOne(inline, (path, says, fix) => say(["check", ...path], says, fix));
}

/** @param nowMs Unix time, for certificates that ended */
export function checkBalancer(parsed: ParsedConfig, files: ConfigFiles, nowMs: number, report: Report): void {
  const { balancer } = parsed.root;
  if (!balancer) return;
  const { source } = balancer.pools;
  const regions = [...parsed.regions.names];
  const region = balancer.settings?.region;
  if (region !== undefined && regions.length > 0 && !parsed.regions.has(region))
    report(
      source,
      ["balancer", "region"],
      `There is no region ${JSON.stringify(region)}`,
      suggest(region, regions, "region"),
      {
        severity: "warning",
      },
    );
  if (balancer.settings && balancer.listeners.names.size === 0)
    report(source, ["balancer"], "The balancer has no listener", "Add one to `listeners:`", {
      severity: "warning",
      want: "key",
    });
  const hasHttpListener = [...balancer.listeners.valid.values()].some(({ protocol }) => protocol === "http");
  for (const [name, listener] of balancer.listeners.valid) {
    const say: Say = (path, ...rest) => report(source, [...balancer.listeners.path, name, ...path], ...rest);
    checkRoutes(balancer, listener, say);
    checkProtocol(listener, say);
    checkTls(listener, hasHttpListener, say);
    checkHttp(balancer, listener, files, say);
    checkCertificates(listener, files, nowMs, say);
  }
  checkUpstreamSource(parsed.root, files, (path, ...rest) => report(source, path, ...rest));
  for (const [name, pool] of balancer.pools.valid) {
    const say: Say = (path, ...rest) => report(source, [...balancer.pools.path, name, ...path], ...rest);
    checkPool(parsed, balancer, name, pool, say);
    checkHttpPool(listenersOf(balancer, name), pool, files, say);
    checkKernelMode(balancer, name, pool, say, report);
  }
}
