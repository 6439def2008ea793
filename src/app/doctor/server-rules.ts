/**
 * What name servers must answer: authoritative, over UDP and TCP, all the same serial. Answers in, findings out; pure.
 * @module
 */
import { type Finding, ok, problem } from "#app/doctor/finding.ts";

/** What came back for the SOA of a zone. */
export type Asked =
  | {
      readonly isAnswered: true;
      readonly rcode: string;
      readonly isAuthoritative: boolean;
      /** undefined: no SOA record in the answer. */
      readonly serial: number | undefined;
      /** Cut short, as the rate limit does: the serial stands in the TCP answer. */
      readonly isTruncated: boolean;
    }
  | { readonly isAnswered: false; readonly says: string };

export type ServerAnswer = {
  /** Such as `ns1.example.com.`, or what else names the server for people. */
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly udp: Asked;
  readonly tcp: Asked;
};

const DNS_PORT = 53;
const placeOf = ({ address, port }: ServerAnswer): string => (port === DNS_PORT ? address : `${address} port ${port}`);
const serverText = (server: ServerAnswer): string => `${server.name} (${placeOf(server)})`;

const isLame = (asked: Asked): boolean =>
  asked.isAnswered &&
  !asked.isTruncated &&
  (asked.rcode !== "NOERROR" || !asked.isAuthoritative || asked.serial === undefined);
const lameText = (asked: Asked): string => {
  if (!asked.isAnswered) return asked.says;
  if (asked.rcode !== "NOERROR") return `it answers ${asked.rcode}`;
  return asked.isAuthoritative ? "it answers without a SOA record" : "it answers without authority (AA)";
};

/** The serial that a server serves, or undefined when it has none to show. */
const serialOf = ({ udp, tcp }: ServerAnswer): number | undefined =>
  (udp.isAnswered ? udp.serial : undefined) ?? (tcp.isAnswered ? tcp.serial : undefined);

/**
 * @param check how the finding is filed
 * @param asker who asked: "" for this node, " as seen by ns2" for a peer
 */
export function judgeAnswer(check: string, apex: string, server: ServerAnswer, asker = ""): Finding {
  const { udp, tcp, port, address } = server;
  const who = `${serverText(server)}${asker}`;
  if (!udp.isAnswered && !tcp.isAnswered)
    return problem(
      check,
      `${who} does not answer for ${apex}: UDP ${udp.says}; TCP ${tcp.says}`,
      `Start rhumb there and open UDP and TCP port ${port} of ${address} in every firewall on the way, or take the server out of the NS set`,
    );
  const lame = [udp, tcp].find(isLame);
  if (lame)
    return problem(
      check,
      `${who} is lame for ${apex}: ${lameText(lame)}`,
      `Put the zone file of ${apex} onto that server and reload it (\`rhumb check\` there says what is wrong), or take it out of the NS set`,
    );
  if (!tcp.isAnswered)
    return problem(
      check,
      `${who} answers for ${apex} over UDP, but not over TCP: ${tcp.says}`,
      `Open TCP port ${port} of ${address}: answers that are cut short, and clients under the rate limit, come back over TCP`,
    );
  if (!udp.isAnswered)
    return problem(
      check,
      `${who} answers for ${apex} over TCP, but not over UDP: ${udp.says}`,
      `Open UDP port ${port} of ${address} in both directions`,
    );
  return ok(
    check,
    `${who} answers for ${apex} over UDP and TCP${serialOf(server) === undefined ? "" : `, serial ${serialOf(server)}`}`,
  );
}

/** RFC 1982 §3.2: serial numbers wrap. */
export const isSerialBefore = (left: number, right: number): boolean => ((right - left) | 0) > 0;

/** @param fileSerial what the zone file on this machine says */
export function judgeSerials(apex: string, fileSerial: number, servers: readonly ServerAnswer[]): Finding[] {
  const known = servers.flatMap((server) => {
    const serial = serialOf(server);
    return serial === undefined ? [] : [{ server, serial }];
  });
  if (known.length === 0) return [];
  const newest = known.reduce((best, { serial }) => (isSerialBefore(best, serial) ? serial : best), fileSerial);
  const behind = known.filter(({ serial }) => serial !== newest);
  if (behind.length > 0)
    return [
      problem(
        "serials",
        `The servers of ${apex} differ: ${newest} is the newest serial, but ${behind.map(({ server, serial }) => `${serverText(server)} serves ${serial}`).join(", ")}`,
        "Bring the same zones/ onto every node, then `rhumb config reload` there; a reload that was refused says why",
      ),
    ];
  if (fileSerial !== newest)
    return [
      problem(
        "serials",
        `The file of ${apex} on this machine has serial ${fileSerial}, but all servers serve ${newest}`,
        "Bring the newest zones/ onto this node as well",
      ),
    ];
  return [ok("serials", `All ${known.length} addresses of the servers of ${apex} serve ${newest}`)];
}
