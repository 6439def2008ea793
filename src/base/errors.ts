/**
 * Every error that the control plane throws: code, sentence, fix. `docs/errors.md` documents each (a test holds it).
 * The data plane does not throw; it returns faults.
 * @module
 */
export const ERRORS = {
  RHUMB_APP_ROLE_CHANGED: {
    says: "Cannot take up or give up the role % while running",
    fix: "Restart the process: the configuration on disk is used then",
  },
  RHUMB_APP_DEMO: {
    says: "Cannot run the demo world: %",
    fix: "Start it with `npm start`, name one of its regions, and see that nothing else uses its ports (--port-base)",
  },
  RHUMB_APP_QUESTION: {
    says: "Cannot answer the question %",
    fix: "Give a domain name, a record type such as A, and the client as address or network, such as 198.51.100.0/24",
  },
  RHUMB_CONFIG_INVALID: {
    says: "Cannot use config %",
    fix: "Run `rhumb check`: it prints each problem with file, line and fix",
  },
  RHUMB_CONFIG_UNREADABLE: { says: "Cannot read %", fix: "Check that the file exists and that this user may read it" },
  RHUMB_CONFIG_CONFLICT: {
    says: "Two sides changed the configuration apart from each other: %",
    fix: "Compare them with `rhumb config diff`, then choose one with `rhumb config resolve --take VERSION`",
  },
  RHUMB_CONFIG_NO_CONFLICT: {
    says: "There is no conflict to resolve: %",
    fix: "`rhumb config log` shows the versions; `rhumb config rollback VERSION` goes back to one",
  },
  RHUMB_CONFIG_VERSION_UNKNOWN: {
    says: "This node has no version % of the desired configuration",
    fix: "`rhumb config log` shows those that it keeps; another node may have others",
  },
  RHUMB_CONFIG_MOVED: {
    says: "Another version of the desired configuration came first: %",
    fix: "Look at it with `rhumb config log` and `rhumb config diff`, and push again",
  },
  RHUMB_CONFIG_NOT_SERVED: {
    says: "This node does not serve what is desired, and cannot tell which answers a push would take away: %",
    fix: "Push through a node that serves it (`rhumb status`), take it back with `rhumb config rollback`, or push with `--break-glass REASON`",
  },
  RHUMB_CONFIG_NOT_SHARED: {
    says: "The desired configuration could not be given to the other nodes: %",
    fix: "Push less at a time; `rhumb status` and the events of kind cluster.refused say more",
  },
  RHUMB_DNS_ADDRESS: {
    says: "Cannot answer DNS on %",
    fix: "List addresses of this machine under `dns.listen`; `ip address` shows them",
  },
  RHUMB_DNS_PORT_BUSY: {
    says: "Cannot answer DNS on %",
    fix: "Stop the process that holds the port, or choose another one under `dns.listen`",
  },
  RHUMB_DNS_PORT_FORBIDDEN: {
    says: "Cannot answer DNS on %",
    fix: "Ports below 1024 need CAP_NET_BIND_SERVICE: see docs/going-live.md, or choose a higher port",
  },
  RHUMB_DNS_ENGINE: {
    says: "Cannot answer UDP with `engine: batch`: %",
    fix: "Write `engine: auto`, which takes `dgram` on this machine, or install koffi for it (`npm ci` does on Linux)",
  },
  RHUMB_DNS_XDP: {
    says: "Cannot answer UDP with `engine: xdp`: %",
    fix: "Write `engine: auto`, which answers on sockets; docs/xdp.md says what AF_XDP needs of kernel, driver and interface",
  },
  RHUMB_DNS_XDP_BUSY: {
    says: "Cannot answer UDP with `engine: xdp`: another program has the interface %",
    fix: "`ip link show` and `bpftool net` name it; stop who attached it, or remove it with `ip link set dev NAME xdp off`",
  },
  RHUMB_DNS_XDP_CAPABILITY: {
    says: "Cannot answer UDP with `engine: xdp`: this process lacks %",
    fix: "Give it CAP_NET_ADMIN, CAP_NET_RAW and CAP_BPF (systemd: `AmbientCapabilities=`; containers: `cap_add`), or write `engine: auto`",
  },
  RHUMB_DNS_XDP_INTERFACE: {
    says: "Cannot answer UDP with `engine: xdp` on the interface %",
    fix: "Name an Ethernet interface of this machine, and of this network namespace: `ip link` lists them",
  },
  RHUMB_DNS_WORKER: {
    says: "DNS workers did not take over the new configuration: %",
    fix: "What was served before is still served; the log of the worker says more, and a restart starts afresh",
  },
  RHUMB_GEO_BROKEN: {
    says: "Cannot use the geo database %",
    fix: "Download the file again and compare its checksum; until then the database loaded before stays in use",
  },
  RHUMB_GEO_EMPTIER: {
    says: "Will not replace the geo database in use by %",
    fix: "Check where the file came from; if it is right, take it with `rhumb geo reload --force`",
  },
  RHUMB_GEO_EMPTY: {
    says: "Cannot use the geo database %",
    fix: "Download the file again; an empty database would make every client unknown",
  },
  RHUMB_GEO_LATENCY_INVALID: {
    says: "Cannot take the measured latency: %",
    fix: "Correct the entries named; nothing of this request was taken",
  },
  RHUMB_GEO_SOURCE_INVALID: {
    says: "Cannot build a geo database from %",
    fix: "Correct the lines named; the header of geo-data/demo.txt explains the format",
  },
  RHUMB_GEO_UNREADABLE: {
    says: "Cannot read the geo database %",
    fix: "Check the path under `geo:` in the configuration, and that this user may read the file",
  },
  RHUMB_GEO_UNWRITABLE: {
    says: "Cannot write the geo database %",
    fix: "Check that the folder exists, that this user may write there, and that the disk is not full",
  },
  RHUMB_GEO_WRONG_KIND: {
    says: "Cannot use the geo database %",
    fix: "Give a City or Country database as `geo.database` and an ASN database as `geo.asn`",
  },
  RHUMB_CLUSTER_STORE_UNUSABLE: {
    says: "Cannot use the store %",
    fix: "Check the state folder's owner, mode and space; restore a backup if the file is damaged",
  },
  RHUMB_CLUSTER_STORE_NEWER: {
    says: "The store % was written by a later release",
    fix: "Run that release, or restore a backup made by this one",
  },
  RHUMB_CLUSTER_BACKUP_EXISTS: {
    says: "Cannot write a backup to %: it is already there",
    fix: "Choose a new name, or remove the old backup",
  },
  RHUMB_CLUSTER_BACKUP_DAMAGED: {
    says: "Cannot restore: % is missing, changed, or not part of a backup",
    fix: "Use another backup; nothing was changed",
  },
  RHUMB_CLUSTER_RESTORE_OCCUPIED: {
    says: "Cannot restore: % is already there",
    fix: "Stop the node and restore with --force, or choose another folder",
  },
  RHUMB_CLUSTER_KEY: {
    says: "Cannot use this node's key %",
    fix: "Check owner and mode of the file; without it a new one is made, which the others have to enrol: `rhumb cluster key` prints it",
  },
  RHUMB_CONFIG_INIT_OCCUPIED: {
    says: "Cannot write a first configuration: % is already there",
    fix: "Choose an empty folder with --dir",
  },
  RHUMB_CONFIG_EXPORT_OCCUPIED: {
    says: "Will not write over %, which says something else",
    fix: "Compare them with `rhumb config diff`, and write over it with --force",
  },
  RHUMB_CONFIG_IMPORT_OCCUPIED: {
    says: "Cannot write what was imported: % is already there",
    fix: "Choose another folder with --out, or overwrite it with --force",
  },
  RHUMB_CONFIG_NAME_BAD: {
    says: "Cannot write a configuration for %: it is not a domain name",
    fix: "Give a name with at least two labels, such as example.com",
  },
  RHUMB_API_TOKEN: {
    says: "Cannot tell who asks: %",
    fix: "Send `Authorization: Bearer TOKEN` with a token of `control.tokens`; `rhumb` finds it in run/token or RHUMB_TOKEN",
  },
  RHUMB_API_ROLE: { says: "This token may not do that: %", fix: "Use a token whose role is high enough" },
  RHUMB_API_LOCKED: {
    says: "Too many wrong tokens came from %",
    fix: "Wait for the time that Retry-After names, then send the right token",
  },
  RHUMB_API_BUSY: { says: "Too many requests: %", fix: "Wait for the time that Retry-After names" },
  RHUMB_API_HOST: {
    says: "The Host header names %, which is not this server",
    fix: "Use the server's IP address, localhost, or a name of its certificate",
  },
  RHUMB_API_ORIGIN: { says: "A page of % may not call this API", fix: "Use the dashboard that this server serves" },
  RHUMB_API_CSRF: {
    says: "The session's request % lacks its CSRF token",
    fix: "Send the token of GET /session as X-CSRF-Token, or use a bearer token",
  },
  RHUMB_API_INPUT: { says: "Cannot take this request: %", fix: "Compare it with /openapi.json" },
  RHUMB_API_MEDIA_TYPE: {
    says: "Cannot take a body of type %",
    fix: "Send JSON with `Content-Type: application/json`",
  },
  RHUMB_API_TOO_LARGE: { says: "The body is too large: %", fix: "Send it in parts" },
  RHUMB_API_NOT_FOUND: {
    says: "There is no %",
    fix: "GET /openapi.json lists the routes; GET the collection lists its items",
  },
  RHUMB_API_CHANGED: {
    says: "The configuration has changed since: %",
    fix: "GET it again, look what changed, and send the new ETag as If-Match",
  },
  RHUMB_API_METHOD: { says: "Cannot do that here: %", fix: "Use one of the methods that the Allow header names" },
  RHUMB_API_NOT_SUPPORTED: { says: "% is not supported yet", fix: "See CHANGELOG.md for what this release can do" },
  RHUMB_API_FAULT: {
    says: "The server failed at %",
    fix: "Look into its log at this time, and report what you find there",
  },
  RHUMB_API_LISTEN: {
    says: "Cannot listen on % for the control API",
    fix: "Check `control.listen`: the address must be this machine's, and the port free",
  },
  RHUMB_API_INSECURE: {
    says: "Will not serve the control API on % without TLS",
    fix: "Set `control.tls`, or listen on a loopback address or a Unix socket",
  },
  RHUMB_API_TLS: {
    says: "Cannot use the TLS certificate or key of %",
    fix: "Check `control.tls`: both PEM files, and that the key fits",
  },
  RHUMB_NOTIFY_UNKNOWN: {
    says: "There is no notifier %",
    fix: "Use a name that `notify:` defines, or none for all of them",
  },
  RHUMB_NFT_FORBIDDEN: {
    says: "The kernel's rules cannot be changed: %",
    fix: "Give the process CAP_NET_ADMIN (docs/kernel-mode.md), or use `mode: proxy`",
  },
  RHUMB_NFT_MISSING: {
    says: "Kernel mode needs the program %, which cannot be run",
    fix: "Install nftables, conntrack and iproute2 (Debian: apt install nftables conntrack iproute2), or use `mode: proxy`",
  },
  RHUMB_NFT_REFUSED: {
    says: "The kernel did not take our rules: %",
    fix: "What was in the kernel before goes on; docs/kernel-mode.md lists what kernel and nftables must have",
  },
  RHUMB_RUM_LISTEN: {
    says: "Cannot listen on % for beacons of pages",
    fix: "Check `rum.listen`: the address must be this machine's, and the port free",
  },
  RHUMB_RUM_TLS: {
    says: "Cannot use the TLS certificate or key of % for beacons of pages",
    fix: "Check `rum.tls`: both PEM files, and that the key fits",
  },
  RHUMB_ZONE_UNSOUND: {
    says: "Cannot build zone %",
    fix: "Check the zone before it is built: it needs one SOA at its apex, and all of its names below that",
  },
  RHUMB_DNS_MIXED_SEEDS: {
    says: "Cannot serve zone %: its name table has another hash seed than the other zones",
    fix: "Build all zones of one process with the same seed",
  },
  RHUMB_HEALTH_TABLE_FULL: {
    says: "The health table has no room for %",
    fix: "Restart the process: the table is sized for the configuration at start",
  },
  RHUMB_HEALTH_OVERRIDE_NO_MATCH: {
    says: "No target matches %",
    fix: "Run `rhumb status` for the targets there are; a bare name is a region, and `*` stops at `/`",
  },
  RHUMB_HEALTH_OVERRIDE_EMPTIES_SERVICE: {
    says: "This override would leave the service % without any region that is up",
    fix: "Leave one region in service, or say `--force` if an outage is what you want",
  },
  RHUMB_HEALTH_SAFETY: {
    says: "A safety rule forbids it: %",
    fix: "Do what the rule asks for; or say `--force`, which is told to everybody and stands in the audit log",
  },
  RHUMB_HEALTH_OVERRIDE_INVALID: {
    says: "Cannot take %",
    fix: "Give a target, one of up, down, drain, ignore-health, a reason, a weight of 0 to 100, and an end within a year",
  },
  RHUMB_HEALTH_OVERRIDE_FROM_FILE: {
    says: "The override of % stands in the overrides file",
    fix: "Remove it from health/overrides.yaml; the change is taken up without a restart",
  },
  RHUMB_HEALTH_OVERRIDE_OF_EVACUATION: {
    says: "The override of % belongs to an evacuation",
    fix: "Run `rhumb region return REGION`: it brings the region back in order",
  },
  RHUMB_EVACUATION_NONE: {
    says: "The region % is not being evacuated",
    fix: "Run `rhumb region list` for what is going on",
  },
  RHUMB_EVACUATION_RUNNING: {
    says: "The evacuation of % has begun already",
    fix: "Run `rhumb region status`; `resume`, `stop` and `return` are what it takes now",
  },
  RHUMB_EVACUATION_OTHER: {
    says: "Cannot evacuate a region while %",
    fix: "Wait until the other region is back, or say `--force` if both are to be left",
  },
  RHUMB_EVACUATION_CAPACITY: {
    says: "The other regions cannot carry it: %",
    fix: "Add capacity, wait for fewer requests, or say `--force` if overload is what you accept",
  },
  RHUMB_EVACUATION_LAST: {
    says: "The service % would be left without any region that is up",
    fix: "Bring another of its regions back first; an evacuation never takes the last one",
  },
  RHUMB_EVACUATION_TERMS: {
    says: "Cannot evacuate on these terms: %",
    fix: "Give falling weights that end with 0, such as 50,0",
  },
  RHUMB_HEALTH_REGION_UNKNOWN: { says: "There is no region %", fix: "Run `rhumb status` for the regions there are" },
  RHUMB_HEALTH_NOT_HELD: {
    says: "The region % is not held for failback",
    fix: "Run `rhumb status`: only a region in hold or awaiting approval can be approved",
  },
  RHUMB_CLI_USAGE: { says: "Cannot use %", fix: "Run the command with --help: it shows an example" },
  RHUMB_BALANCER_BACKEND_EXISTS: {
    says: "There is a backend % already",
    fix: "PATCH it, or remove it first; GET /backends lists all",
  },
  RHUMB_BALANCER_UNRESOLVED: {
    says: "The DNS has no address for %",
    fix: "Check the name, and the name servers of this machine; or give an IP address",
  },
  RHUMB_BALANCER_LISTEN: {
    says: "The balancer cannot listen on %",
    fix: "Stop what holds the address, or give the listener another one; ports below 1024 need CAP_NET_BIND_SERVICE",
  },
  RHUMB_BALANCER_LISTENERS: {
    says: "There were too many listeners in the life of this process; no room for %",
    fix: "Restart the process: names of listeners that are gone are then forgotten",
  },
  RHUMB_BALANCER_CERTIFICATE: {
    says: "A certificate or key of a listener cannot be read: %",
    fix: "Check that the file exists and that this user may read it",
  },
  RHUMB_BALANCER_TICKETS: {
    says: "The secret of session tickets cannot be used: %",
    fix: "Write at least 32 octets into it, such as by `openssl rand -out FILE 48`, the same on all nodes",
  },
  RHUMB_BALANCER_ENGINE: {
    says: "`balancer.engine: epoll` cannot be had on this machine: %",
    fix: "Write `engine: auto`, or install the optional package koffi on Linux",
  },
  RHUMB_BALANCER_WORKER: {
    says: "The balancer's workers could not take the configuration: %",
    fix: "See the log for the worker that failed; what served before goes on serving",
  },
  RHUMB_BALANCER_HANDOVER: {
    says: "This process was not replaced: %",
    fix: "See the log of the new process; this one goes on serving",
  },
  RHUMB_DRILL_BUSY: {
    says: "Another drill runs on this machine: %",
    fix: "Wait for its end, or stop it with Ctrl-C: it then puts everything back",
  },
  RHUMB_DRILL_CANNOT: {
    says: "This drill cannot run here: %",
    fix: "Choose a stage that can with --stage, or change the step; docs/drills.md says what each stage can do",
  },
  RHUMB_DRILL_LOAD: {
    says: "Cannot make load for a drill: %",
    fix: "`rhumb drill run` starts `rhumb drill load` and gives it its order: a `LoadSpec` of src/drill/load/protocol.ts",
  },
  RHUMB_PORTS_TAKEN: {
    says: "No block of ports is left: all of % have owners",
    fix: "End other drills, demos and tests of this machine: `ss -tlnp` shows who listens there",
  },
  RHUMB_DRILL_STAGE: {
    says: "The stage of the drill: %",
    fix: "See what it says; the output of each process lies in the stage's folder, and `rhumb drill check` tells what a drill may ask for",
  },
  RHUMB_DRILL_NEEDS: {
    says: "This drill needs what is not here: %",
    fix: "Install it, or run drills without that need: `rhumb drill list` shows the needs of each",
  },
  RHUMB_ANYCAST_NOT_CONFIGURED: {
    says: "The node % announces nothing by BGP",
    fix: "Ask a node whose rhumb.yaml has a section `anycast:`; docs/anycast.md sets one up",
  },
  RHUMB_ANYCAST_REFUSED: {
    says: "Will not withdraw by plan: %",
    fix: "Have another node announce the prefix first (`rhumb anycast`), or set its `minAdvertisers` to 0 if an outage is what you want",
  },
  RHUMB_DRILL_REPORT: {
    says: "Cannot read the report of a drill %",
    fix: "Give the report.json that `rhumb drill run` of this release wrote",
  },
  RHUMB_DRILL_STEP: {
    says: "A step of the drill could not be done: %",
    fix: "Read what the stage's processes said last, in the folder of the run; `--keep` leaves them running to look at",
  },
  RHUMB_CLI_NO_ANSWER: {
    says: "Nothing answers at %",
    fix: "Start a node with `rhumb start` or `npm start`, or name the right address with --api or RHUMB_API",
  },
  RHUMB_CLI_NOT_OURS: {
    says: "What answers at % is not a rhumb control API",
    fix: "Check the address given with --api or RHUMB_API",
  },
  RHUMB_CLI_NO_DNS_ANSWER: {
    says: "No DNS answer came from %",
    fix: "Check --server and --port, and that a firewall lets UDP and TCP through",
  },
} as const satisfies Record<string, { says: string; fix: string }>;

export type ErrorCode = keyof typeof ERRORS;

export class RhumbError extends Error {
  readonly code: ErrorCode;
  readonly fix: string;
  /** @param subject what the error is about; stands quoted in the sentence at `%` */
  constructor(code: ErrorCode, subject: string, options?: { cause?: unknown }) {
    super(
      ERRORS[code].says.replace("%", () => JSON.stringify(subject)),
      options,
    );
    this.name = "RhumbError";
    this.code = code;
    this.fix = ERRORS[code].fix;
  }
}
