/**
 * WebSocket clients that each wait for the answer to a message before they send the next:
 * `node bench/lib/websocket-client.ts PORT CLIENTS SECONDS` prints `{ requests, seconds, errors }`.
 * @module
 */
import { connect } from "node:net";
import { ACCEPTED, CLIENT_FRAME, HANDSHAKE, SERVER_FRAME } from "./websocket.ts";

const [port, clients, seconds] = process.argv.slice(2).map(Number) as [number, number, number];
let [requests, errors, opened, startMs] = [0, 0, 0, 0];
let isOver = false;

function open(): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port, noDelay: true });
    let [head, come] = ["", 0];
    let isOpen = false;
    socket.on("error", () => errors++);
    socket.on("close", () => {
      if (!isOver) errors++;
      resolve();
    });
    socket.write(HANDSHAKE);
    socket.on("data", (octets: Buffer) => {
      if (!isOpen) {
        head += octets.toString("latin1");
        if (!head.endsWith("\r\n\r\n")) return;
        if (!head.startsWith(ACCEPTED.slice(0, 12))) socket.destroy();
        isOpen = true;
        if (++opened === clients) begin();
        resolve();
        return;
      }
      come += octets.length;
      for (; come >= SERVER_FRAME.length; come -= SERVER_FRAME.length) {
        requests++;
        if (!isOver) socket.write(CLIENT_FRAME);
      }
    });
    sockets.push(socket);
  });
}
const sockets: ReturnType<typeof connect>[] = [];
function begin(): void {
  startMs = performance.now();
  for (const socket of sockets) socket.write(CLIENT_FRAME);
  setTimeout(() => {
    isOver = true;
    const took = (performance.now() - startMs) / 1_000;
    process.stdout.write(`${JSON.stringify({ requests, seconds: took, errors })}\n`, () => process.exit(0));
  }, seconds * 1_000);
}
await Promise.all(Array.from({ length: clients }, open));
if (opened < clients) {
  process.stderr.write(`${opened} of ${clients} were opened\n`);
  process.exit(1);
}
