/**
 * `rhumb init example.com`: a first configuration that passes `rhumb check` as it is.
 *
 * Never:   overwrites anything: it writes all of its files, or none.
 * @module
 */
import { chmodSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { RhumbError } from "#base/errors.ts";

export type InitOptions = {
  /** The zone, such as `example.com`. */
  readonly domain: string;
  /** Where to; made when it is missing. */
  readonly folder: string;
  readonly randomBytes: (octets: number) => Uint8Array;
  readonly nowMs: number;
};

const DOMAIN = /^(?=.{3,253}$)([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
/** 24 octets: 192 bits, out of reach for guessing. */
const TOKEN_OCTETS = 24;

const rootText = (): string => `# rhumb: which sections are present decides what this process does.
# All keys: docs/settings.md. \`rhumb check\` says what is wrong, with line and column.
version: 1
node: ns1

dns:
  # UDP and TCP. For the real service: ["192.0.2.53:53", "[2001:db8::53]:53"], and docs/going-live.md for port 53.
  listen: ["127.0.0.1:5300"]

control:
  listen: "127.0.0.1:8053"
  tokens:
    ops: { token: "file:run/token", role: admin }

zones: zones/

geo:
  # A MaxMind City or Country database. With one, \`steer: geo\` in zones/services.yaml sends clients to the nearest region.
  database: null
  regions: geo-data/regions.yaml
  overrides: geo-data/overrides.yaml

health:
  checks: health/
`;

const zoneText = (domain: string, serial: string): string => `; ${domain}: static names, and steered ones by STEER.
$TTL 3600
@     SOA    ns1 hostmaster ${serial} 3600 600 604800 60
@     NS     ns1
@     NS     ns2
ns1   A      192.0.2.53        ; the addresses of your two nodes
ns2   A      198.51.100.53

; A steered name: the service "www" of zones/services.yaml. 30 is the longest TTL, in seconds.
www   30  STEER  www
@         ALIAS  www           ; the apex answers like www
`;

const SERVICES = `# A service: which regions serve a name, and by which policy a client gets one of them.
# Presets: geo, latency, weighted, failover, multivalue; or a list of filters (docs/settings.md).
www:
  regions: [us-east, eu-west]   # the order counts for failover
  steer: failover
  ttl: { min: 5s, max: 30s }
`;

const REGIONS = `# Regions: where they are, and the addresses that clients are given. Replace the addresses by your own.
us-east:
  at: [39.04, -77.49]           # latitude, longitude
  continent: NA
  country: US
  v4: [192.0.2.10]
  check: region-http
eu-west:
  at: [53.35, -6.26]
  continent: EU
  country: IE
  v4: [198.51.100.10]
  check: region-http
`;

const CHECK = `# Probes each address of the regions that name this check; the name is the file's.
kind: http
port: 80
path: /healthz
interval: 5s
timeout: 2s
thresholds: { down: 3, up: 5, ok: 5 }
`;

const GEO_OVERRIDES = `# What the database gets wrong. One entry a line:
#   - { network: 203.0.113.0/24, as: { continent: EU, country: DE, at: [50.1, 8.7] } }
#   - { country: BR, regions: [us-east] }
[]
`;

/** RFC 1912 §2.2: year, month, day, and two digits for changes of one day. */
const serialOf = (nowMs: number): string => `${new Date(nowMs).toISOString().slice(0, 10).replaceAll("-", "")}01`;

/**
 * @returns the files written, relative to the folder
 * @throws RhumbError RHUMB_CONFIG_NAME_BAD, RHUMB_CONFIG_INIT_OCCUPIED when a file is already there
 */
export function initConfig({ domain, folder, randomBytes, nowMs }: InitOptions): string[] {
  const zone = domain.toLowerCase().replace(/\.$/, "");
  if (!DOMAIN.test(zone)) throw new RhumbError("RHUMB_CONFIG_NAME_BAD", domain);
  const token = Buffer.from(randomBytes(TOKEN_OCTETS)).toString("base64url");
  const files: readonly { path: string; text: string; mode: number }[] = [
    { path: "rhumb.yaml", text: rootText(), mode: 0o644 },
    { path: join("zones", `${zone}.zone`), text: zoneText(zone, serialOf(nowMs)), mode: 0o644 },
    { path: join("zones", "services.yaml"), text: SERVICES, mode: 0o644 },
    { path: join("geo-data", "regions.yaml"), text: REGIONS, mode: 0o644 },
    { path: join("geo-data", "overrides.yaml"), text: GEO_OVERRIDES, mode: 0o644 },
    { path: join("health", "region-http.yaml"), text: CHECK, mode: 0o644 },
    { path: join("run", "token"), text: `${token}\n`, mode: 0o600 },
    { path: ".gitignore", text: "run/\n", mode: 0o644 },
  ];
  for (const { path } of files) {
    // A .gitignore of the reader's own stays; anything else in the way is a configuration already.
    if (path !== ".gitignore" && existsSync(join(folder, path)))
      throw new RhumbError("RHUMB_CONFIG_INIT_OCCUPIED", join(folder, path));
  }
  const written = files.filter(({ path }) => path !== ".gitignore" || !existsSync(join(folder, path)));
  for (const { path, text, mode } of written) {
    const full = join(folder, path);
    mkdirSync(dirname(full), { recursive: true });
    if (path.startsWith("run")) chmodSync(dirname(full), 0o700);
    writeFileSync(full, text, { mode, flag: "wx" });
  }
  return written.map(({ path }) => path);
}
