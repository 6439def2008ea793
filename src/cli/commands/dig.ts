/** `rhumb dig`: asks a name server like dig does, for machines that have none. @module */
import { isIP } from "node:net";
import type { Command } from "commander";
import { RhumbError } from "#base/errors.ts";
import { type Cidr, formatCidr, maskIp, parseCidr, parseIp } from "#base/ip.ts";
import { command, wrongUse } from "#cli/command.ts";
import { askDns, type DnsExchange } from "#cli/dns-client.ts";
import type { DnsRecordText } from "#cli/dns-message.ts";
import { plain, say, sayJson } from "#cli/output.ts";
import { parseName } from "#dns/wire/name.ts";
import { typeNumber } from "#dns/wire/types.ts";

type DigOptions = {
  from?: string;
  server: string;
  port: string;
  tcp?: boolean;
  short?: boolean;
  json?: boolean;
  timeout: string;
};

/** A network as it stands; a bare address is cut to /24 or /56, as resolvers do (RFC 7871 §11.1). */
export function parseSubnet(text: string): Cidr {
  const bytes = parseIp(text);
  if (bytes) {
    const bits = bytes.length === 4 ? 24 : 56;
    return { bytes: maskIp(bytes, bits), bits };
  }
  return parseCidr(text) ?? wrongUse(`--from ${text}: write 198.51.100.0/24 or an address`);
}

const recordLines = (title: string, records: readonly DnsRecordText[]): string[] =>
  records.length === 0
    ? []
    : [
        "",
        `;; ${title} SECTION:`,
        ...records.map(({ owner, ttlSeconds, type, rdata }) => `${owner}\t${ttlSeconds}\tIN\t${type}\t${rdata}`),
      ];

/** dig's form, as far as people and scripts read it. */
function digText(
  { response, rttMs, octets }: DnsExchange,
  asked: { name: string; type: string; server: string; isTcp: boolean },
): string {
  const { edns, answer, authority, additional } = response;
  const lines = [
    `;; ->>HEADER<<- opcode: QUERY, status: ${response.rcode}, id: ${response.id}`,
    `;; flags: ${response.flags.join(" ")}; QUERY: 1, ANSWER: ${answer.length}, AUTHORITY: ${authority.length}, ADDITIONAL: ${additional.length + (edns ? 1 : 0)}`,
  ];
  if (edns) {
    lines.push("", ";; OPT PSEUDOSECTION:", `; EDNS: version: 0, udp: ${edns.payloadOctets}`);
    if (edns.subnet) lines.push(`; CLIENT-SUBNET: ${edns.subnet.network}/${edns.subnet.scopeBits}`);
    if (edns.nsid !== undefined) lines.push(`; NSID: ${edns.nsid}`);
    for (const { code, says } of edns.errors) lines.push(`; EDE: ${code}${says === "" ? "" : ` (${says})`}`);
  }
  lines.push("", ";; QUESTION SECTION:", `;${asked.name}\tIN\t${asked.type}`);
  lines.push(
    ...recordLines("ANSWER", answer),
    ...recordLines("AUTHORITY", authority),
    ...recordLines("ADDITIONAL", additional),
  );
  lines.push(
    "",
    `;; Query time: ${Math.round(rttMs)} msec`,
    `;; SERVER: ${asked.server} (${asked.isTcp ? "TCP" : "UDP"})`,
    `;; MSG SIZE  rcvd: ${octets}`,
  );
  return lines.map((line) => line.split("\t").map(plain).join("\t")).join("\n");
}

export function digCommand(): Command {
  return command(
    "dig",
    "ask a name server, as a client of any network",
    "rhumb dig www.demo.example A --from 198.51.100.0/24\nrhumb dig demo.example SOA --server 192.0.2.53 --port 53 --tcp",
  )
    .argument("<name>", "domain name")
    .argument("[type]", "record type", "A")
    .option("--from <net>", "client network to send as EDNS client subnet")
    .option("--server <address>", "IP address of the name server", "127.0.0.1")
    .option("--port <port>", "its port", "5300")
    .option("--tcp", "ask over TCP; without it TCP is used when the answer over UDP is truncated")
    .option("--timeout <ms>", "how long to wait, in ms", "2000")
    .option("--short", "print the answer's data alone")
    .option("--json", "print the response as JSON")
    .action(async (nameText: string, typeText: string, options: DigOptions) => {
      const name = parseName(nameText);
      if (typeof name === "number") return wrongUse(`${nameText} as a domain name`);
      const type = typeNumber(typeText.toUpperCase());
      if (!(type > 0)) return wrongUse(`${typeText} as a record type`);
      if (isIP(options.server) === 0) return wrongUse(`--server ${options.server}: it must be an IP address`);
      const port = Number(options.port);
      if (!(Number.isInteger(port) && port > 0 && port < 65_536)) return wrongUse(`--port ${options.port}`);
      const timeoutMs = Number(options.timeout);
      if (!(timeoutMs > 0 && timeoutMs <= 60_000)) return wrongUse(`--timeout ${options.timeout}: 1 to 60000`);
      const subnet = options.from === undefined ? undefined : parseSubnet(options.from);
      const server = `${options.server}#${port}`;
      const ask = { address: options.server, port, name, type, subnet, timeoutMs };
      let isTcp = options.tcp === true;
      let exchange: DnsExchange;
      try {
        exchange = await askDns({ ...ask, isTcp });
        if (!isTcp && exchange.response.flags.includes("tc")) {
          isTcp = true;
          exchange = await askDns({ ...ask, isTcp });
        }
      } catch (cause) {
        throw new RhumbError(
          "RHUMB_CLI_NO_DNS_ANSWER",
          `${server} over ${isTcp ? "TCP" : "UDP"} (${(cause as Error).message})`,
          { cause },
        );
      }
      const asked = {
        name: nameText.endsWith(".") ? nameText : `${nameText}.`,
        type: typeText.toUpperCase(),
        server,
        isTcp,
      };
      if (options.json)
        sayJson({
          ...exchange.response,
          from: subnet ? formatCidr(subnet) : null,
          server,
          transport: isTcp ? "tcp" : "udp",
          rttMs: exchange.rttMs,
          octets: exchange.octets,
        });
      else if (options.short) for (const { rdata } of exchange.response.answer) say(plain(rdata));
      else say(digText(exchange, asked));
    });
}
