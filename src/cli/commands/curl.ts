/**
 * `rhumb curl`: fetches a URL as a client of any network would: asks our name server for the host, connects to the
 * answer. Where the demo had to use ports of 127.0.0.1 for its regions' addresses, it goes there (`run/demo.json`).
 * @module
 */
import { readFileSync } from "node:fs";
import { request } from "node:http";
import { isIP } from "node:net";
import { join } from "node:path";
import type { Command } from "commander";
import { RhumbError } from "#base/errors.ts";
import { command, wrongUse } from "#cli/command.ts";
import { parseSubnet } from "#cli/commands/dig.ts";
import { askDns } from "#cli/dns-client.ts";
import { complain, plain } from "#cli/output.ts";
import { parseName } from "#dns/wire/name.ts";
import { TYPE } from "#dns/wire/types.ts";

type Place = { readonly address: string; readonly listen: string; readonly port: number };
type DemoFile = { readonly dns: number; readonly places: readonly Place[] };
const DEFAULT_DNS_PORT = 5_300;
const TIMEOUT_MS = 5_000;

/** What the running demo wrote about itself, if there is one. */
function readDemo(): DemoFile | undefined {
  for (const folder of [process.cwd(), join(import.meta.dirname, "../../..")]) {
    try {
      return JSON.parse(readFileSync(join(folder, "run/demo.json"), "utf8")) as DemoFile;
    } catch {
      // no demo here
    }
  }
  return undefined;
}

export function curlCommand(): Command {
  return command(
    "curl",
    "fetch a URL as a client of any network: our name server says where from",
    "rhumb curl http://www.demo.example/ --from 198.51.100.0/24",
  )
    .argument("<url>", "http:// URL; without a port, that of the demo's regions, else 80")
    .option("--from <net>", "client network to send as EDNS client subnet")
    .option("--server <address>", "IP address of the name server", "127.0.0.1")
    .option("--port <port>", "its port (default: the running demo's, else 5300)")
    .option("-v, --verbose", "say on standard error where it went")
    .action(async (text: string, options: { from?: string; server: string; port?: string; verbose?: boolean }) => {
      const url = URL.canParse(text) ? new URL(text) : undefined;
      if (url?.protocol !== "http:") return wrongUse(`${text}: write an http:// URL`);
      if (isIP(options.server) === 0) return wrongUse(`--server ${options.server}: it must be an IP address`);
      const demo = readDemo();
      const port = Number(options.port ?? demo?.dns ?? DEFAULT_DNS_PORT);
      if (!(Number.isInteger(port) && port > 0 && port < 65_536)) return wrongUse(`--port ${options.port}`);
      const address = await resolve(url.hostname, { server: options.server, port, from: options.from });
      const place = demo?.places.find((one) => one.address === address);
      const host = place?.listen ?? address;
      const httpPort =
        url.port !== "" && place?.listen === address ? Number(url.port) : (place?.port ?? Number(url.port || 80));
      if (options.verbose)
        complain(
          `${plain(url.hostname)} is ${address}${host === address ? "" : `, which is ${host} here`}, port ${httpPort}`,
        );
      await fetchTo(url, host, httpPort);
    });
}

async function resolve(
  hostname: string,
  options: { server: string; port: number; from: string | undefined },
): Promise<string> {
  const { server, port, from } = options;
  const name = parseName(hostname);
  if (typeof name === "number") return wrongUse(`${hostname} as a domain name`);
  const subnet = from === undefined ? undefined : parseSubnet(from);
  const where = `${server}#${port}`;
  try {
    const ask = { address: server, port, name, type: TYPE.A, subnet, isTcp: false, timeoutMs: 2_000 };
    const { response } = await askDns(ask);
    const record = response.answer.find(({ type }) => type === "A");
    if (!record) throw new Error(`${response.rcode} without an address for ${hostname}`);
    return record.rdata;
  } catch (cause) {
    throw new RhumbError("RHUMB_CLI_NO_DNS_ANSWER", `${where} (${(cause as Error).message})`, { cause });
  }
}

/** Streams the body to standard output. */
function fetchTo(url: URL, host: string, port: number): Promise<void> {
  const { promise, resolve: done, reject } = Promise.withResolvers<void>();
  const where = `${host}:${port}`;
  const fail = (cause: unknown): void => reject(new RhumbError("RHUMB_CLI_NO_ANSWER", where, { cause }));
  const asked = request({
    host,
    port,
    path: url.pathname + url.search,
    headers: { host: url.host },
    agent: false,
    timeout: TIMEOUT_MS,
  });
  asked.on("timeout", () => asked.destroy(new Error("time-out")));
  asked.on("error", fail);
  asked.on("response", (response) => {
    response.on("error", fail);
    response.on("end", done);
    response.pipe(process.stdout, { end: false });
  });
  asked.end();
  return promise;
}
