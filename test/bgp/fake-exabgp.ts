/** An ExaBGP with its guard behind fake pipes: answers as 4.2.21 does, can be killed, started, and made to misbehave. */
import type { Pipes } from "#bgp/pipes.ts";

const fault = (code: string): Error => Object.assign(new Error(code), { code });

export type FakeExabgp = ReturnType<typeof createFakeExabgp>;

export function createFakeExabgp(neighbours: readonly { address: string; localAs: number; peerAs: number }[]) {
  let take: ((text: string) => void) | undefined;
  let isRunning = true;
  let isGuardThere = true;
  /** Each start makes the pipes of before worthless. */
  let life = 0;
  const rib = new Map<string, string>();
  const commands: string[] = [];
  const beats: string[] = [];
  const fake = {
    rib,
    commands,
    beats,
    /** Nothing comes back. */
    isSilent: false,
    /** Octets that the pipe takes at a time. */
    room: Number.POSITIVE_INFINITY,
    refuses: (_command: string): boolean => false,
    kill(): void {
      isRunning = false;
      life++;
      rib.clear();
    },
    start(): void {
      isRunning = true;
      life++;
      rib.clear();
    },
    setGuard(isThere: boolean): void {
      isGuardThere = isThere;
    },
    /** What another program left in the pipe. */
    say: (text: string): void => take?.(text),
    /** What routes of the prefix it has, all neighbours alike. */
    route: (prefix: string): string | undefined => rib.get(prefix),
  };
  const answer = (line: string): string[] => {
    if (fake.refuses(line)) return ["error"];
    const command = line.replace(/^neighbor \S+ /, "");
    const [, verb, prefix] = /^(announce|withdraw) route (\S+)/.exec(command) ?? [];
    if (verb === "announce") rib.set(prefix!, command);
    else if (verb === "withdraw") rib.delete(prefix!);
    switch (command) {
      case "version":
        return ["exabgp 4.2.21", "done"];
      case "show adj-rib out":
        return [
          ...neighbours.flatMap(({ address }) =>
            [...rib.keys()].map((one) => `neighbor ${address} ipv4 unicast ${one} next-hop self`),
          ),
          "done",
        ];
      case "show neighbor summary":
        return [
          "Peer            AS        up/down state       |     #sent     #recvd",
          ...neighbours.map(({ address, peerAs }) => `${address}  ${peerAs}  0:00:25 established  3  2`),
          "done",
        ];
      case "show neighbor extensive":
        return [
          ...neighbours.flatMap(({ address, localAs, peerAs }) => [
            `Neighbor ${address}`,
            `   AS                             ${localAs}           ${peerAs}                `,
          ]),
          "done",
        ];
      default:
        return [verb === undefined ? "error" : "done"];
    }
  };
  const pipes: Pipes = {
    openRead(_path, listener) {
      take = listener;
      return {
        close() {
          take = undefined;
        },
      };
    },
    openWrite(path) {
      const isHeartbeat = path.endsWith("heartbeat");
      if (isHeartbeat ? !isGuardThere : !isRunning) throw fault("ENXIO");
      const born = life;
      let rest = "";
      return {
        write(bytes) {
          if (isHeartbeat) {
            if (!isGuardThere) throw fault("EPIPE");
            beats.push(Buffer.from(bytes).toString());
            return bytes.length;
          }
          if (!isRunning || born !== life) throw fault("EPIPE");
          const taken = bytes.subarray(0, fake.room);
          const lines = (rest + Buffer.from(taken).toString()).split("\n");
          rest = lines.pop()!;
          for (const line of lines) {
            commands.push(line);
            if (fake.isSilent) continue;
            const text = answer(line).join("\n");
            queueMicrotask(() => take?.(`${text}\n`));
          }
          return taken.length;
        },
        close() {},
      };
    },
  };
  return Object.assign(fake, { pipes });
}
