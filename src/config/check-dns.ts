/**
 * Cross checks of `dns:`: what `engine: xdp` needs, and what it cannot do.
 * @module
 */
import { isLoopback } from "#config/address.ts";
import type { RootConfig } from "#config/parse.ts";
import type { Report } from "#config/report.ts";

const WILDCARDS: readonly string[] = ["0.0.0.0", "::"];

export function checkDns({ source, dns }: RootConfig, report: Report): void {
  if (!dns) return;
  if (dns.engine !== "xdp") {
    if (dns.interface !== undefined)
      report(
        source,
        ["dns", "interface"],
        `The interface ${dns.interface} would not be used: \`engine: ${dns.engine}\` has the kernel choose`,
        "Remove it, or write `engine: xdp`",
      );
    return;
  }
  if (dns.interface === undefined)
    report(
      source,
      ["dns", "engine"],
      "`engine: xdp` does not know which network interface packets come by",
      "Add `interface:`, such as `interface: eth0`; `ip link` lists them",
    );
  const isList = Array.isArray(dns.listen);
  const listen = Array.isArray(dns.listen) ? dns.listen : [dns.listen];
  for (const [index, { address }] of listen.entries()) {
    if (!WILDCARDS.includes(address)) continue;
    report(
      source,
      isList ? ["dns", "listen", index] : ["dns", "listen"],
      `${address} stands for every address, and \`engine: xdp\` must know which ones are ours`,
      "List the addresses that are served, one by one",
    );
  }
  if (dns.interface !== "lo" && listen.every(({ address }) => isLoopback(address)))
    report(
      source,
      ["dns", "listen"],
      `Only loopback addresses are served, and nothing for them comes by ${dns.interface ?? "a network interface"}`,
      "List an address that clients reach, or write `engine: auto`",
      { severity: "warning" },
    );
}
