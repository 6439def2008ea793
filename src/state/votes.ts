/**
 * What one vantage says of endpoints: its votes, with the evidence behind each.
 *
 * Writer:  `health/` of the node that probes. Readers: `health/` of all nodes, which decide alike from the same votes.
 * Units:   ms; an age is counted from the moment at which the votes were written.
 * @module
 */
export const VOTE_STATES = ["up", "failing", "down", "recovering"] as const;
/** Where the vantage's own state machine stands. `up` and `failing` are a vote for up, the others for down. */
export type VoteState = (typeof VOTE_STATES)[number];

export type EndpointVote = {
  /** Identity of what was probed: hash over check and address (`health/identity.ts`), the same on all nodes with the same check. */
  readonly endpoint: string;
  readonly state: VoteState;
  /** How old the evidence is: the last probe that said something. */
  readonly ageMs: number;
  /** For how long the vantage has been of this opinion. */
  readonly sinceMs: number;
  readonly evidence: VoteEvidence;
};

/** The last probe that said something. */
export type VoteEvidence = {
  /** Empty: it passed. */
  readonly errorClass: string;
  /** What people read: "503 instead of 200-299". */
  readonly says: string;
  /** Status of HTTP, rcode of DNS, or null. */
  readonly status: number | null;
  /** Time of each phase in µs; 0: not reached. */
  readonly phasesMicros: readonly [connect: number, tls: number, answer: number, total: number];
};

export type VantageVotes = {
  readonly vantage: string;
  /** Grows with each message of the vantage, over restarts as well: what is older than what is known of an endpoint is left. */
  readonly sequence: number;
  /** True: all of the vantage's votes; what is not among them it does not probe. False: only those that have changed. */
  readonly isWhole: boolean;
  /** False: its reference targets fail, or the others see what it does not, so that it does not trust itself. */
  readonly isSound: boolean;
  readonly votes: readonly EndpointVote[];
};
