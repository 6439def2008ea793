/**
 * Cross checks of rhumb.yaml: listeners, the control API, secrets, vantages.
 * @module
 */
import { isLoopback } from "#config/address.ts";
import { checkCluster, secretsOfCluster } from "#config/check-cluster.ts";
import { checkDns } from "#config/check-dns.ts";
import { regionPort } from "#config/compile-health.ts";
import type { ConfigFiles } from "#config/files.ts";
import { secretsOfBalancer } from "#config/http-parts.ts";
import type { ParsedConfig } from "#config/parse.ts";
import type { Report } from "#config/report.ts";
import { suggest } from "#config/suggest.ts";
import { type Path, pathText } from "#config/yaml.ts";
import type { ListenAddress } from "#state/snapshot.ts";

/** Shorter tokens can be guessed. */
const MIN_TOKEN_CHARACTERS = 16;
/** Of what tokens of beacons are signed with: it is tried offline. */
const MIN_SIGNING_CHARACTERS = 32;

export type SecretPolicy = "require" | "warn";

function checkListeners({ root }: ParsedConfig, report: Report): void {
  const seen = new Map<string, string>();
  const look = ({ address, port }: ListenAddress, transports: readonly ("tcp" | "udp")[], path: Path): void => {
    const place = `${address} port ${port}`;
    const keys = transports.map((transport) => `${transport} ${place}`);
    const other = keys.map((key) => seen.get(key)).find((one) => one !== undefined);
    if (port !== 0 && other !== undefined)
      report(
        root.source,
        path,
        `Two listeners share ${place}; the other is ${other}`,
        "Give one of them another address or port",
      );
    for (const key of keys) seen.set(key, pathText(path));
  };
  const { dns, balancer, control } = root;
  if (dns && Array.isArray(dns.listen)) {
    for (const [index, listen] of dns.listen.entries()) look(listen, ["tcp", "udp"], ["dns", "listen", index]);
  } else if (dns && "port" in dns.listen) look(dns.listen, ["tcp", "udp"], ["dns", "listen"]);
  for (const [name, { listen, protocol }] of balancer?.listeners.valid ?? [])
    look(listen, [protocol === "udp" ? "udp" : "tcp"], ["balancer", "listeners", name, "listen"]);
  if (root.rum) look(root.rum.listen, ["tcp"], ["rum", "listen"]);
  if (control && "port" in control.listen) look(control.listen, ["tcp"], ["control", "listen"]);
}

function checkControl({ root }: ParsedConfig, files: ConfigFiles, report: Report): void {
  const { control, source } = root;
  if (!control) return;
  const names = Object.keys(control.tokens);
  if ("address" in control.listen) {
    if (names.length === 0)
      report(
        source,
        ["control"],
        "The control API has no token: nobody could use it",
        "Add `tokens:`, or listen on a Unix socket",
        { want: "key" },
      );
    if (!isLoopback(control.listen.address) && !control.tls)
      report(
        source,
        ["control", "listen"],
        `The control API would be open to the network without TLS at ${control.listen.address}`,
        "Add `tls:` with a certificate, or listen on 127.0.0.1",
      );
  }
  for (const [name, { url }] of Object.entries(control.peers)) {
    const { protocol, hostname } = new URL(url);
    if (protocol === "http:" && hostname !== "localhost" && !isLoopback(hostname.replace(/^\[|\]$/g, "")))
      report(
        source,
        ["control", "peers", name, "url"],
        `The token of ${name} would travel without TLS to ${hostname}`,
        "Write an https:// URL; the peer needs `control.tls`",
      );
  }
  const owners = new Map<string, string>();
  for (const [name, { token }] of Object.entries(control.tokens)) {
    const path = ["control", "tokens", name, "token"];
    const secret = files.secrets.get(token);
    if (!secret || !("value" in secret)) continue;
    if (secret.value.length < MIN_TOKEN_CHARACTERS)
      report(
        source,
        path,
        `The token has ${secret.value.length} characters`,
        `Use at least ${MIN_TOKEN_CHARACTERS}, such as from \`openssl rand -hex 24\``,
      );
    const owner = owners.get(secret.value);
    if (owner !== undefined)
      report(
        source,
        path,
        `The token is the same as that of ${owner}`,
        "Give each name a token of its own: the audit log tells them apart by it",
      );
    owners.set(secret.value, name);
  }
}

function checkSecrets({ root }: ParsedConfig, files: ConfigFiles, policy: SecretPolicy, report: Report): void {
  const places: { path: Path; reference: string }[] = [];
  for (const [name, { token }] of Object.entries(root.control?.tokens ?? {}))
    places.push({ path: ["control", "tokens", name, "token"], reference: token });
  for (const [name, { token }] of Object.entries(root.control?.peers ?? {}))
    places.push({ path: ["control", "peers", name, "token"], reference: token });
  for (const [index, reference] of (root.dns?.cookies.secrets ?? []).entries())
    places.push({ path: ["dns", "cookies", "secrets", index], reference });
  places.push(...secretsOfCluster(root));
  for (const [name, sink] of root.notify) {
    if ("url" in sink) places.push({ path: ["notify", name, "url"], reference: sink.url });
    if (sink.kind === "webhook") {
      for (const [header, reference] of Object.entries(sink.headers))
        places.push({ path: ["notify", name, "headers", header], reference });
    }
  }
  if (root.rum) places.push({ path: ["rum", "key"], reference: root.rum.key });
  if (root.balancer)
    for (const { path, value } of secretsOfBalancer(root.balancer)) places.push({ path, reference: value });
  for (const { path, reference } of places) {
    const secret = files.secrets.get(reference);
    if (!secret || "value" in secret) continue;
    const severity = policy === "require" ? "error" : "warning";
    report(
      root.source,
      path,
      `Cannot resolve the secret: ${secret.fault}`,
      "Set the variable, or create the file (mode 600)",
      { severity },
    );
  }
  for (const [index, reference] of (root.dns?.cookies.secrets ?? []).entries()) {
    const secret = files.secrets.get(reference);
    if (secret && "value" in secret && !/^[0-9a-fA-F]{32}$/.test(secret.value))
      report(
        root.source,
        ["dns", "cookies", "secrets", index],
        "A cookie secret is 16 octets",
        "Write 32 hexadecimal digits, such as from `openssl rand -hex 16`",
      );
  }
}

function checkRum({ root, regions }: ParsedConfig, files: ConfigFiles, report: Report): void {
  const { rum, source } = root;
  if (!rum) return;
  const secret = files.secrets.get(rum.key);
  if (secret && "value" in secret && secret.value.length < MIN_SIGNING_CHARACTERS)
    report(
      source,
      ["rum", "key"],
      `The key has ${secret.value.length} characters`,
      `Use at least ${MIN_SIGNING_CHARACTERS}, such as from \`openssl rand -hex 32\``,
    );
  if (rum.origins.some((origin) => origin.startsWith("https:")) && !rum.tls && rum.proxies.length === 0)
    report(
      source,
      ["rum"],
      "Browsers do not send from https pages to a listener without TLS",
      "Add `tls:`, or put it behind a proxy that ends TLS and name that in `proxies:`",
      { severity: "warning", want: "key" },
    );
  if (!root.geo?.asn)
    report(source, ["rum"], "Without an ASN database no beacon can be placed", "Set `geo.asn` in rhumb.yaml", {
      severity: "warning",
      want: "key",
    });
  if (regions.names.size === 0)
    report(source, ["rum"], "There are no regions that beacons could speak of", "List them in `geo.regions`", {
      severity: "warning",
      want: "key",
    });
}

function checkSafety({ root, regions }: ParsedConfig, report: Report): void {
  for (const [index, { atLeast, of }] of (root.health?.safety.assert ?? []).entries()) {
    const path = ["health", "safety", "assert", index];
    if (atLeast > new Set(of).size)
      report(
        root.source,
        [...path, "atLeast"],
        `${atLeast} of ${of.length} cannot be kept`,
        "Ask for fewer, or name more",
      );
    for (const [at, region] of of.entries())
      if (!regions.names.has(region))
        report(
          root.source,
          [...path, "of", at],
          `There is no region ${JSON.stringify(region)}`,
          suggest(region, [...regions.names], "region"),
        );
  }
}

function checkVantages(parsed: ParsedConfig, report: Report): void {
  const { health, cluster, source, node } = parsed.root;
  if (!health) return;
  const names = Object.keys(health.vantages);
  const own = health.vantage ?? node;
  if (names.length > 0 && own !== undefined && !names.includes(own)) {
    const path = health.vantage === undefined ? ["health", "vantages"] : ["health", "vantage"];
    report(source, path, `${JSON.stringify(own)} is not one of the vantages`, suggest(own, names, "vantage"));
  }
  const count = Math.max(1, names.length);
  if (health.quorum !== "auto" && health.quorum > count)
    report(
      source,
      ["health", "quorum"],
      `${health.quorum} votes are wanted, but there ${count === 1 ? "is 1 vantage" : `are ${count} vantages`}`,
      "Write `auto`, or add vantages",
    );
  if (count > 1 && Object.keys(cluster?.nodes ?? {}).length === 0)
    report(
      source,
      ["health", "vantages"],
      "No node is enrolled in `cluster.nodes`: votes of other vantages do not reach this one, which decides alone",
      "Enrol the nodes, or leave the other vantages out",
      { severity: "warning" },
    );
  for (const [index, { check }] of health.references.entries()) {
    const path = ["health", "references", index, "check"];
    const known = parsed.checks.get(check)?.value;
    if (!parsed.checkNames.has(check))
      report(
        source,
        path,
        `There is no check ${JSON.stringify(check)}`,
        suggest(check, [...parsed.checkNames], "check"),
      );
    else if (known && known.kind !== "script" && regionPort(known) === undefined)
      report(source, path, `The check ${JSON.stringify(check)} says no port`, "Add `port:` to the check");
  }
  if (count === 2)
    report(
      source,
      ["health", "vantages"],
      "With two vantages, one that is cut off cannot be outvoted",
      "Use three or more, or one",
      { severity: "warning" },
    );
}

/** What rhumb.yaml says, taken together. */
export function checkRoot(parsed: ParsedConfig, files: ConfigFiles, policy: SecretPolicy, report: Report): void {
  const { source } = parsed.root;
  for (const { path, says, fix } of files.unreadable) report(source, path, says, fix);
  for (const { path, file } of files.missingDatabases)
    report(
      source,
      path,
      `There is no database ${file}: every client is unknown until it appears`,
      "Fetch it, or correct the path",
      { severity: "warning" },
    );
  const { hasDns, hasControl, balancer } = parsed.root;
  if (!hasDns && !hasControl && !balancer && source.value !== undefined && source.value !== null)
    report(
      source,
      [],
      "No role: neither `dns` nor `balancer` nor `control` is there",
      "Add a section `dns:` with `listen:`, or a section `balancer:`",
    );
  checkListeners(parsed, report);
  checkDns(parsed.root, report);
  checkControl(parsed, files, report);
  checkSecrets(parsed, files, policy, report);
  checkCluster(parsed, files, report);
  checkRum(parsed, files, report);
  checkVantages(parsed, report);
  checkSafety(parsed, report);
}
