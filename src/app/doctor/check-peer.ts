/**
 * One other node: does its control API answer, does its clock agree, does it reach us by UDP and TCP (POST /probe)?
 * @module
 */
import { askApi } from "#app/doctor/ask-api.ts";
import { type Server, serialOfRdata } from "#app/doctor/ask-servers.ts";
import { type Finding, ok, problem, warning } from "#app/doctor/finding.ts";
import { judgeSkew } from "#app/doctor/machine-rules.ts";
import { type Asked, judgeAnswer } from "#app/doctor/server-rules.ts";
import type { PeerSpec } from "#state/snapshot.ts";

/** A node allows bursts of 30 probes; others want to look as well. */
const MAX_PROBES = 20;

export type PeerTask = {
  readonly peer: PeerSpec;
  /** This node's name and version. */
  readonly node: string;
  readonly version: string;
  /** The shortest time slot of steering: `ttl.max` in seconds. */
  readonly slotSeconds: number;
  /** What it is to be asked to probe: a zone and one of its servers. */
  readonly probes: readonly { readonly zone: string; readonly server: Server }[];
};
type Probed = {
  readonly isAnswered: boolean;
  readonly rcode: string | null;
  readonly isAuthoritative: boolean;
  readonly isTruncated: boolean;
  readonly answer: readonly string[];
  readonly says: string;
};

/** The view of `POST /probe` as an answer of our own. */
function askedOf({ isAnswered, rcode, isAuthoritative, isTruncated, answer, says }: Probed): Asked {
  if (!isAnswered) return { isAnswered: false, says };
  const soa = answer.map((text) => /^\S+ \d+ SOA (.*)$/.exec(text)?.[1]).find((rdata) => rdata !== undefined);
  return {
    isAnswered: true,
    rcode: rcode ?? "",
    isAuthoritative,
    isTruncated,
    serial: soa === undefined ? undefined : serialOfRdata(soa),
  };
}

const titleOf = (body: unknown): string => String((body as { title?: unknown } | null)?.title ?? "no reason given");

export async function checkPeer({ peer, node, version, slotSeconds, probes }: PeerTask): Promise<Finding[]> {
  const ask = { url: peer.url, token: peer.token, caFile: peer.caFile, isOwn: false };
  const who = `${peer.name} (${peer.url})`;
  const findings: Finding[] = [];
  const refuse = (status: number, body: unknown): Finding =>
    status === 401 || status === 403
      ? problem(
          "peers",
          `${who} refuses the token: ${titleOf(body)}`,
          `Write a token of the role \`operate\` of ${peer.name} into what control.peers.${peer.name}.token refers to`,
        )
      : warning("peers", `${who} answers HTTP ${status}: ${titleOf(body)}`, "Try again in a minute; its log says more");
  try {
    const { status, body, skewMs } = await askApi({ ...ask, method: "GET", path: "/status" });
    if (status !== 200) return [refuse(status, body)];
    const view = body as { node?: unknown; version?: unknown };
    if (view.node === node)
      findings.push(
        problem(
          "peers",
          `${who} is the node ${node} as well`,
          "Give each node its own `node:` name, and check the URL",
        ),
      );
    if (view.version !== version)
      findings.push(
        warning("peers", `${who} runs rhumb ${String(view.version)}, this is ${version}`, "Finish the upgrade"),
      );
    else findings.push(ok("peers", `${who} answers, and runs rhumb ${version} as well`));
    if (skewMs !== undefined) findings.push(judgeSkew(peer.name, skewMs, slotSeconds));
    for (const { zone, server } of probes.slice(0, MAX_PROBES)) {
      const { address, port } = server;
      const answer = await askApi({
        ...ask,
        method: "POST",
        path: "/probe",
        body: { address, port, name: zone, type: "SOA" },
      });
      if (answer.status !== 200) {
        findings.push(refuse(answer.status, answer.body));
        break;
      }
      const { udp, tcp } = answer.body as { udp: Probed; tcp: Probed };
      const seen = { ...server, udp: askedOf(udp), tcp: askedOf(tcp) };
      findings.push(judgeAnswer("peers", zone, seen, ` as ${peer.name} sees it`));
    }
  } catch (error) {
    findings.push(
      problem(
        "peers",
        `The control API of ${who} does not answer: ${(error as Error).message}`,
        `Start rhumb there, let this node through to its API port, or correct control.peers.${peer.name}.url`,
      ),
    );
  }
  return findings;
}
