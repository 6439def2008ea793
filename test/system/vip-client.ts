/**
 * A client of VIPs for tests: asks each address in turn, over a new connection each time, for as long as it lives. Words:
 * addresses. Each line of its output is one outcome as JSON (`Asked`).
 */
import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** `answer`: what the backend said; `fault`: the system's error, `end` without an answer, or `timeout`. */
export type Asked = {
  readonly vip: string;
  readonly atMs: number;
  readonly answer?: string;
  readonly fault?: string;
};

const TIMEOUT_MS = 900; // below the first repetition of a SYN (1 s): each outcome is that of one try, and a busy machine is none
const PAUSE_MS = 10;

function ask(vip: string): Promise<Asked> {
  const { promise, resolve } = Promise.withResolvers<Asked>();
  const atMs = performance.now();
  const socket = connect({ host: vip, port: 80 });
  const end = (outcome: { answer: string } | { fault: string }): void => {
    resolve({ vip, atMs, ...outcome });
    socket.destroy();
  };
  socket.setTimeout(TIMEOUT_MS, () => end({ fault: "timeout" }));
  socket.on("error", (error: NodeJS.ErrnoException) => end({ fault: error.code ?? error.message }));
  socket.on("end", () => end({ fault: "end" }));
  socket.setEncoding("utf8").once("data", (line: string) => end({ answer: line.trim() }));
  return promise;
}

if (import.meta.main) {
  for (;;) {
    for (const vip of process.argv.slice(2)) {
      process.stdout.write(`${JSON.stringify(await ask(vip))}\n`);
      await sleep(PAUSE_MS);
    }
  }
}
