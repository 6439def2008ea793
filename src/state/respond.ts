/**
 * What a transport and the responder say to each other. Transports are handed a `Respond`; they hold no DNS rules.
 * @module
 */
export const TRANSPORT = { udp: 0, tcp: 1 } as const;

/** Who asks. A transport keeps one per worker and fills it in anew for each query: nothing is allocated. */
export type Client = {
  /** 4 octets in front for IPv4 (`isIpv6` false), else 16. IPv4-mapped IPv6 sources are handed over as IPv4. */
  readonly address: Uint8Array;
  isIpv6: boolean;
  port: number;
  transport: (typeof TRANSPORT)[keyof typeof TRANSPORT];
};

export const createClient = (): Client => ({
  address: new Uint8Array(16),
  isIpv6: false,
  port: 0,
  transport: TRANSPORT.udp,
});

/**
 * Answers one DNS message. Synchronous; never throws; allocates nothing on the usual paths.
 *
 * @param request octets of the message from 0 to `length`; not changed, not kept
 * @param out where the response is written from 0 on; at least 1,232 octets for UDP and 65,535 for TCP
 * @returns octets written; 0: send nothing (UDP), close the connection (TCP)
 */
export type Respond = (request: Uint8Array, length: number, client: Client, out: Uint8Array) => number;
