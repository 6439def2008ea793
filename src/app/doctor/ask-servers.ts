/**
 * Asks name servers for the SOA of a zone, over UDP and TCP at once.
 * @module
 */
import type { Asked, ServerAnswer } from "#app/doctor/server-rules.ts";
import { askDns } from "#cli/dns-client.ts";
import { TYPE } from "#dns/wire/types.ts";

const TIMEOUT_MS = 1_500;
const UDP_TRIES = 2;

export type Server = Pick<ServerAnswer, "name" | "address" | "port">;

/** @param apex wire name */
export async function askServer(server: Server, apex: Uint8Array): Promise<ServerAnswer> {
  const ask = async (isTcp: boolean, tries: number): Promise<Asked> => {
    try {
      const { address, port } = server;
      const { response } = await askDns({ address, port, name: apex, type: TYPE.SOA, isTcp, timeoutMs: TIMEOUT_MS });
      const soa = response.answer.find(({ type }) => type === "SOA");
      return {
        isAnswered: true,
        rcode: response.rcode,
        isAuthoritative: response.flags.includes("aa"),
        isTruncated: response.flags.includes("tc"),
        serial: soa && serialOfRdata(soa.rdata),
      };
    } catch (error) {
      if (tries > 1) return ask(isTcp, tries - 1);
      return { isAnswered: false, says: (error as Error).message };
    }
  };
  const [udp, tcp] = await Promise.all([ask(false, UDP_TRIES), ask(true, 1)]);
  return { ...server, udp, tcp };
}

/** MNAME RNAME SERIAL … as text (RFC 1035 §3.3.13). */
export const serialOfRdata = (rdata: string): number => Number(rdata.split(" ")[2]);
