/**
 * `rhumb doctor` against a real parent zone (BIND) and a second node, each across a link between two network
 * namespaces. The second node is a whole rhumb with a control API; where one without TCP is needed, a stub stands in.
 */
import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { createInterface } from "node:readline";
import test, { after, before } from "node:test";

const main = join(import.meta.dirname, "../../src/main.ts");
const NAMED = "/usr/sbin/named";
const missing = [
  ...(process.getuid?.() === 0 ? [] : ["root"]),
  ...[NAMED, "/usr/sbin/ip", "/usr/bin/openssl"].filter((file) => !existsSync(file)),
];
/** In CI nothing is skipped: what is missing then fails. */
const skip = missing.length > 0 && !process.env["CI"] ? `it needs ${missing.join(", ")}` : false;

const NODE = "192.0.2.53";
const PEER = "198.51.100.53";
const STUB = "198.51.100.54";
const PARENT = "203.0.113.1";
const NOBODY = "203.0.113.99";
const TOKEN = "0123456789abcdef0123";

const folder = mkdtempSync(join(tmpdir(), "rhumb-doctor-"));
const here = `rhumb-${process.pid}-node`;
const world = `rhumb-${process.pid}-world`;
const children: ChildProcess[] = [];

const write = (path: string, text: string, mode = 0o644): void => {
  mkdirSync(dirname(join(folder, path)), { recursive: true });
  writeFileSync(join(folder, path), text, { mode });
};
const ip = (...words: string[]): void => void execFileSync("ip", words, { stdio: "pipe" });

/** Resolves once the process has said `sign`, and fails with what it said when it ends before. */
async function run(namespace: string, words: readonly string[], sign: RegExp): Promise<void> {
  const child = spawn("ip", ["netns", "exec", namespace, ...words], { stdio: ["ignore", "pipe", "pipe"] });
  children.push(child);
  const said: string[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on("line", (line) => {
      said.push(line);
      if (sign.test(line)) resolve();
    });
  }
  child.once("exit", (code) => reject(new Error(`${words.join(" ")} ended with ${code}:\n${said.join("\n")}`)));
  await promise;
}

type Zone = {
  readonly serial?: number;
  /** What the zone itself says; the parent has the same unless told otherwise. */
  readonly servers?: Record<string, string>;
  readonly parent?: Record<string, string> | undefined;
  readonly isLameAtPeer?: boolean;
  readonly serialAtPeer?: number;
  readonly ds?: string;
};
const GOOD = { ns1: NODE, ns2: PEER };
const ZONES: Record<string, Zone> = {
  good: {},
  glue: { parent: { ns1: NODE, ns2: NOBODY } },
  noglue: { parent: { ns1: NODE, ns2: "" } },
  halfway: { parent: { ns1: NODE } },
  extra: { servers: { ns1: NODE, ns2: PEER }, parent: { ...GOOD, ns3: STUB } },
  nowhere: { parent: undefined },
  lame: { isLameAtPeer: true },
  serial: { serialAtPeer: 6 },
  udponly: { servers: { ns1: NODE, ns2: STUB } },
  dead: { servers: { ns1: NODE, ns2: NOBODY } },
  lonely: { servers: { ns1: NODE } },
  signed: { ds: "12345 13 2 00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF" },
};
const serversOf = ({ servers = GOOD }: Zone): Record<string, string> => servers;
const recordsOf = (servers: Record<string, string>): string =>
  Object.entries(servers)
    .map(([name, address]) => `@ NS ${name}\n${address === "" ? "" : `${name} A ${address}\n`}`)
    .join("");
const zoneText = (zone: Zone, serial: number): string =>
  `$TTL 300\n@ SOA ns1 hostmaster ${serial} 3600 600 604800 60\n${recordsOf(serversOf(zone))}`;

function delegationText(name: string, zone: Zone): string {
  const servers = "parent" in zone ? zone.parent : serversOf(zone);
  const lines = Object.entries(servers ?? {}).map(
    ([server, address]) => `${name} NS ${server}.${name}\n${address === "" ? "" : `${server}.${name} A ${address}\n`}`,
  );
  return `${lines.join("")}${zone.ds ? `${name} DS ${zone.ds}\n` : ""}`;
}

/** Answers each UDP query with a SOA record of serial 7, and has no TCP. */
const STUB_TEXT = `
import { createSocket } from "node:dgram";
const socket = createSocket("udp4");
socket.on("message", (query, { address, port }) => {
  let end = 12;
  while (query[end] !== 0) end += 1 + query[end];
  const header = Buffer.from([query[0], query[1], 0x84, 0, 0, 1, 0, 1, 0, 0, 0, 0]);
  const soa = Buffer.from([0xc0, 12, 0, 6, 0, 1, 0, 0, 0, 60, 0, 22, 0, 0, 0, 0, 0, 7, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1]);
  socket.send(Buffer.concat([header, query.subarray(12, end + 5), soa]), port, address);
});
socket.bind(53, "${STUB}", () => console.log("ready"));
`;

function writeWorld(): void {
  const addresses = `subjectAltName=IP:${PEER}`;
  const request = [
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
    "-days",
    "90",
  ];
  mkdirSync(join(folder, "peer"), { recursive: true });
  execFileSync(
    "openssl",
    [...request, "-subj", "/CN=ns2", "-addext", addresses, "-keyout", "peer/key.pem", "-out", "peer/cert.pem"],
    { cwd: folder, stdio: "pipe" },
  );
  write("token", TOKEN, 0o600);
  write("peer/token", `${TOKEN}-peer`, 0o600);
  const rootOf = (node: string, address: string, control: string, zones: string): string =>
    `version: 1\nnode: ${node}\ndns: { listen: ["${address}:53"] }\ncontrol: ${control}\nzones: ${zones}\n`;
  const peers = `{ ns2: { url: "https://${PEER}:8053", token: "file:peer/token", ca: peer/cert.pem } }`;
  const control = `{ listen: "127.0.0.1:8053", tokens: { ops: { token: "file:token", role: admin } }, peers: ${peers} }`;
  write("rhumb.yaml", rootOf("ns1", NODE, control, "zones/"));
  write("good.yaml", rootOf("ns1", NODE, control, "good/"));
  const tls = "{ cert: cert.pem, key: key.pem }";
  const peerControl = `{ listen: "${PEER}:8053", tls: ${tls}, tokens: { ns1: { token: "file:token", role: operate } } }`;
  write("peer/rhumb.yaml", rootOf("ns2", PEER, peerControl, "zones/"));
  for (const [name, zone] of Object.entries(ZONES)) {
    const { serial = 7 } = zone;
    write(`zones/${name}.example.zone`, zoneText(zone, serial));
    if (name === "good") write(`good/${name}.example.zone`, zoneText(zone, serial));
    if (!zone.isLameAtPeer) write(`peer/zones/${name}.example.zone`, zoneText(zone, zone.serialAtPeer ?? serial));
  }
  write(
    "named/example.zone",
    `$ORIGIN example.\n$TTL 300\n@ SOA ns hostmaster 1 3600 600 604800 60\n@ NS ns\nns A ${PARENT}\n${Object.entries(
      ZONES,
    )
      .map(([name, zone]) => delegationText(name, zone))
      .join("")}`,
  );
  write(
    "named/named.conf",
    `options { directory "${folder}/named"; pid-file none; session-keyfile none; listen-on { ${PARENT}; };
  listen-on-v6 { none; }; recursion no; dnssec-validation no; minimal-responses yes; };
controls { };
zone "example" { type primary; file "example.zone"; };\n`,
  );
  write("stub.mjs", STUB_TEXT);
}

before(async () => {
  if (skip) return;
  assert.deepEqual(missing, [], "CI lacks what this test needs");
  writeWorld();
  ip("netns", "add", here);
  ip("netns", "add", world);
  ip("-n", here, "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", world);
  for (const [namespace, addresses] of [
    [here, [NODE]],
    [world, [PEER, STUB, PARENT]],
  ] as const) {
    for (const address of addresses) ip("-n", namespace, "address", "add", `${address}/32`, "dev", "wire");
    for (const link of ["lo", "wire"]) ip("-n", namespace, "link", "set", link, "up");
    ip("-n", namespace, "route", "add", "default", "dev", "wire");
  }
  const start = (config: string): string[] => [process.execPath, main, "start", "-c", config];
  await Promise.all([
    run(world, [NAMED, "-g", "-c", join(folder, "named/named.conf")], /\brunning$/),
    run(world, [process.execPath, join(folder, "stub.mjs")], /^ready$/),
    run(world, start(join(folder, "peer/rhumb.yaml")), /Control API on/),
    run(here, start(join(folder, "rhumb.yaml")), /Control API on/),
  ]);
});

after(async () => {
  await Promise.all(
    children.map(async (child) => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.removeAllListeners("exit");
      child.kill("SIGTERM");
      await once(child, "exit");
    }),
  );
  for (const namespace of [here, world]) {
    if (existsSync(`/run/netns/${namespace}`)) ip("netns", "delete", namespace);
  }
  rmSync(folder, { recursive: true, force: true });
});

type Finding = { check: string; state: string; says: string; fix: string };
type Report = { code: number | null; isOk: boolean; findings: Finding[] };

async function doctor(config: string): Promise<Report> {
  const words = ["doctor", "-c", config, "--json", "--resolver", PARENT];
  const child = spawn("ip", ["netns", "exec", here, process.execPath, main, ...words], {
    cwd: folder,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const chunks: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
  const [code] = (await once(child, "close")) as [number | null];
  return { code, ...(JSON.parse(Buffer.concat(chunks).toString("utf8")) as Omit<Report, "code">) };
}

let all: Promise<Report> | undefined;
/** One visit for all zones: the tests below look at what it said of each. */
const visit = (): Promise<Report> => {
  all ??= doctor("rhumb.yaml");
  return all;
};

test("doctor finds no problem with a delegation, two nodes and a peer that are right", { skip }, async () => {
  const { code, isOk, findings } = await doctor("good.yaml");
  const problems = findings.filter(({ state }) => state === "problem");
  // Whether the machine that runs this test has a clock that is synchronised is not up to it.
  assert.deepEqual(
    problems.filter(({ says }) => !says.startsWith("The clock is not synchronised")),
    [],
  );
  assert.equal(isOk, problems.length === 0);
  assert.equal(code, isOk ? 0 : 1);
  const says = findings.filter(({ state }) => state === "ok").map((finding) => finding.says);
  for (const part of [
    `${NODE} port 53/udp is held by rhumb`,
    `${NODE} port 53/tcp is held by rhumb`,
    "The parent zone example. delegates good.example. to ns1.good.example. (192.0.2.53) and ns2.good.example. (198.51.100.53)",
    "ns2.good.example. (198.51.100.53) answers for good.example. over UDP and TCP, serial 7",
    "All 2 addresses of the servers of good.example. serve 7",
    "ns1.good.example. (192.0.2.53) as ns2 sees it answers for good.example. over UDP and TCP",
    "The clock of ns2 agrees with this one",
  ])
    assert.ok(
      says.some((text) => text.includes(part)),
      `${part} in:\n${says.join("\n")}`,
    );
});

for (const { zone, check, says, fix } of [
  {
    zone: "glue",
    check: "delegation",
    says: `The glue of ns2.glue.example. at the parent zone example. is wrong: ${NOBODY}, but the zone says ${PEER}`,
    fix: `set the addresses of ns2.glue.example. to ${PEER}`,
  },
  { zone: "noglue", check: "delegation", says: "ns2.noglue.example. has no glue", fix: PEER },
  {
    zone: "halfway",
    check: "delegation",
    says: "ns2.halfway.example. is a name server of halfway.example., but is missing at the parent",
    fix: `add the name server ns2.halfway.example. (${PEER})`,
  },
  {
    zone: "extra",
    check: "delegation",
    says: "names ns3.extra.example. as a name server of extra.example., the zone does not",
    fix: "remove ns3.extra.example.",
  },
  {
    zone: "nowhere",
    check: "delegation",
    says: "nowhere.example. is not delegated: ns.example.",
    fix: `enter the name servers ns1.nowhere.example. (${NODE}) and ns2.nowhere.example. (${PEER})`,
  },
  {
    zone: "lame",
    check: "servers",
    says: `ns2.lame.example. (${PEER}) is lame for lame.example.: it answers REFUSED`,
    fix: "Put the zone file of lame.example. onto that server",
  },
  {
    zone: "serial",
    check: "serials",
    says: `7 is the newest serial, but ns2.serial.example. (${PEER}) serves 6`,
    fix: "rhumb config reload",
  },
  {
    zone: "udponly",
    check: "servers",
    says: `ns2.udponly.example. (${STUB}) answers for udponly.example. over UDP, but not over TCP: refused`,
    fix: "Open TCP port 53",
  },
  {
    zone: "dead",
    check: "servers",
    says: `ns2.dead.example. (${NOBODY}) does not answer for dead.example.`,
    fix: "open UDP and TCP port 53",
  },
  {
    zone: "lonely",
    check: "name servers",
    says: "lonely.example. has one name server, ns1.lonely.example.",
    fix: "Run a second node",
  },
  { zone: "signed", check: "delegation", says: "has a DS record for signed.example.", fix: "Remove the DS record" },
]) {
  test(`doctor names what is wrong with ${zone}.example, and its fix`, { skip }, async () => {
    const { code, findings } = await visit();
    assert.equal(code, 1);
    const problems = findings.filter(({ state, says }) => state === "problem" && says.includes(`${zone}.example.`));
    const found = problems.find((finding) => finding.check === check && finding.says.includes(says));
    assert.ok(found, `${says} in:\n${problems.map((finding) => finding.says).join("\n")}`);
    assert.ok(found.fix.includes(fix), found.fix);
  });
}

test("doctor says nothing bad of the zone that is right, next to all the others", { skip }, async () => {
  const { findings } = await visit();
  assert.deepEqual(
    findings.filter(({ state, says }) => state === "problem" && / good\.example\./.test(` ${says}`)),
    [],
  );
});
