/**
 * What a zone says of its name servers against what its parent says. Answers in, findings out; pure.
 *
 * Units:   names are lower-case with the root dot; addresses canonical text.
 * Source:  RFC 1034 §4.2.1 (the NS set on both sides of the cut), RFC 9471 (glue), RFC 2182 §3 (two servers, apart).
 * @module
 */
import { type Finding, ok, problem, warning } from "#app/doctor/finding.ts";
import { listWords } from "#config/report.ts";

/** A name server and its addresses, as one side knows them. */
export type NameServer = { readonly name: string; readonly addresses: readonly string[] };

export type ParentAnswer =
  | {
      readonly kind: "delegation";
      readonly server: string;
      readonly servers: readonly NameServer[];
      readonly hasDs: boolean;
    }
  /** The parent's server serves the zone itself: it shows its own records instead of the delegation. */
  | { readonly kind: "same-server"; readonly server: string; readonly hasDs: boolean }
  | { readonly kind: "not-delegated"; readonly server: string; readonly rcode: string }
  | { readonly kind: "silent"; readonly server: string; readonly says: string };

export type DelegationFacts = {
  readonly apex: string;
  /** The zone's own NS set. Addresses of names in our zones come from there, of others from the resolver. */
  readonly own: readonly NameServer[];
  readonly parent: string;
  readonly answers: readonly ParentAnswer[];
};

const isBelow = (name: string, apex: string): boolean => name === apex || name.endsWith(`.${apex}`);
const shown = ({ name, addresses }: NameServer): string =>
  addresses.length === 0 ? name : `${name} (${addresses.join(", ")})`;
const at = (parent: string): string => `the parent zone ${parent}`;

/** What the NS set says by itself. */
export function judgeNameServers(apex: string, own: readonly NameServer[]): Finding[] {
  const findings: Finding[] = [];
  if (own.length < 2)
    findings.push(
      problem(
        "name servers",
        `${apex} has ${own.length === 0 ? "no NS record" : `one name server, ${own[0]!.name}`}: when it is away, so is the zone`,
        "Run a second node, elsewhere, and add its NS record here and at the registrar",
      ),
    );
  for (const { name, addresses } of own) {
    if (addresses.length > 0) continue;
    findings.push(
      problem(
        "name servers",
        `${name}, a name server of ${apex}, has no address`,
        isBelow(name, apex)
          ? `Add an A record for ${name} to the zone, and its address at the registrar`
          : `Correct the NS record, or have the owner of ${name} give it an address`,
      ),
    );
  }
  const all = own.flatMap(({ addresses }) => addresses);
  const networks = new Set(all.map(networkOf));
  if (all.length > 1 && networks.size === 1)
    findings.push(
      warning(
        "name servers",
        `All name servers of ${apex} are in ${[...networks][0]}: one failing line or router takes all of them away`,
        "Put one node into another network, better into another place (RFC 2182 §3.1)",
      ),
    );
  return findings;
}

/** Addresses of one site mostly share this much. */
function networkOf(address: string): string {
  if (!address.includes(":")) return `${address.split(".").slice(0, 3).join(".")}.0/24`;
  const [head = ""] = address.split("::");
  const groups = head === "" ? [] : head.split(":");
  return `${[0, 1, 2].map((index) => groups[index] ?? "0").join(":")}::/48`;
}

/** What stands at the parent against what the zone says. */
export function judgeDelegation({ apex, own, parent, answers }: DelegationFacts): Finding[] {
  const findings: Finding[] = [];
  for (const answer of answers) {
    if (answer.kind === "silent")
      findings.push(
        warning(
          "delegation",
          `${answer.server}, a server of ${at(parent)}, could not be asked: ${answer.says}`,
          "Try again; if it stays so, this machine perhaps may not send DNS queries out",
        ),
      );
  }
  const refused = answers.find((answer) => answer.kind === "not-delegated");
  const delegations = answers.filter((answer) => answer.kind === "delegation");
  if (refused && delegations.length === 0) {
    findings.push(
      problem(
        "delegation",
        `${apex} is not delegated: ${refused.server}, a server of ${at(parent)}, answers ${refused.rcode} without its NS records`,
        `At the registrar of ${apex}, enter the name servers ${listWords(own.map(shown))}`,
      ),
    );
    return findings;
  }
  if (refused)
    findings.push(
      problem(
        "delegation",
        `The servers of ${at(parent)} differ: ${refused.server} does not know ${apex}, ${delegations[0]!.server} does`,
        "Wait until the change has reached all of them; if it does not, ask the registrar",
      ),
    );
  const withDs = answers.find((answer) => "hasDs" in answer && answer.hasDs);
  if (withDs)
    findings.push(
      problem(
        "delegation",
        `${at(parent).replace("the", "The")} has a DS record for ${apex}, but rhumb does not sign: validating resolvers answer SERVFAIL`,
        "Remove the DS record (DNSSEC) at the registrar",
      ),
    );
  // What each server says is compared by itself; equal findings of several are one.
  const differences = delegations.flatMap(({ servers }) => compare(apex, own, servers, parent));
  const said = new Set<string>();
  for (const finding of differences) {
    if (said.has(finding.says)) continue;
    said.add(finding.says);
    findings.push(finding);
  }
  if (delegations.length > 0 && differences.length === 0)
    findings.push(
      ok(
        "delegation",
        `${at(parent).replace("the", "The")} delegates ${apex} to ${listWords(own.map(shown))}, as the zone says`,
      ),
    );
  else if (delegations.length === 0 && answers.some(({ kind }) => kind === "same-server"))
    findings.push(
      ok("delegation", `The servers of ${at(parent)} serve ${apex} as well, so that nobody needs the delegation`),
    );
  return findings;
}

function compare(apex: string, own: readonly NameServer[], parents: readonly NameServer[], parent: string): Finding[] {
  const findings: Finding[] = [];
  const parentOf = new Map(parents.map((server) => [server.name, server]));
  const ownOf = new Map(own.map((server) => [server.name, server]));
  for (const server of own) {
    if (parentOf.has(server.name)) continue;
    findings.push(
      problem(
        "delegation",
        `${server.name} is a name server of ${apex}, but is missing at ${at(parent)}`,
        `At the registrar of ${apex}, add the name server ${shown(server)}; or take its NS record out of the zone`,
      ),
    );
  }
  for (const { name } of parents) {
    if (ownOf.has(name)) continue;
    findings.push(
      problem(
        "delegation",
        `${at(parent).replace("the", "The")} names ${name} as a name server of ${apex}, the zone does not`,
        `At the registrar of ${apex}, remove ${name}; or add \`@ NS ${name}\` to the zone`,
      ),
    );
  }
  for (const { name, addresses: glue } of parents) {
    const addresses = ownOf.get(name)?.addresses;
    if (!addresses || addresses.length === 0) continue; // said already
    if (glue.length === 0) {
      // Without glue, a name below the cut could only be found by asking the very server that it names (RFC 9471 §3).
      if (isBelow(name, apex))
        findings.push(
          problem(
            "delegation",
            `${name} has no glue at ${at(parent)}: nobody can find the server that would tell its address`,
            `At the registrar, enter the address of ${name} (a "host object" or "child name server"): ${addresses.join(", ")}`,
          ),
        );
      continue;
    }
    const wrong = glue.filter((address) => !addresses.includes(address));
    const missing = addresses.filter((address) => !glue.includes(address));
    const fix = `At the registrar, set the addresses of ${name} to ${addresses.join(", ")}; or correct its records in the zone`;
    if (wrong.length > 0)
      findings.push(
        problem(
          "delegation",
          `The glue of ${name} at ${at(parent)} is wrong: ${wrong.join(", ")}, but the zone says ${addresses.join(", ")}`,
          fix,
        ),
      );
    else if (missing.length > 0)
      findings.push(warning("delegation", `The glue of ${name} at ${at(parent)} lacks ${missing.join(", ")}`, fix));
  }
  return findings;
}
