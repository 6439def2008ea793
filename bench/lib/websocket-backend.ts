/**
 * Servers that answer each WebSocket message with one: `node bench/lib/websocket-backend.ts ADDRESS:PORT …`. They answer
 * `/small` as well, for who asks whether they are there.
 * @module
 */
import { createServer, type Socket } from "node:net";
import { ACCEPTED, CLIENT_FRAME, SERVER_FRAME } from "./websocket.ts";

const SMALL = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok";

function serve(socket: Socket): void {
  let isOpen = false;
  /** Octets of a message that has not come whole. */
  let begun = 0;
  socket.on("error", () => socket.destroy());
  socket.on("data", (octets: Buffer) => {
    if (!isOpen) {
      isOpen = octets.toString("latin1", 0, 12).startsWith("GET /socket");
      if (isOpen) socket.write(ACCEPTED);
      else socket.end(SMALL);
      return;
    }
    begun += octets.length;
    for (; begun >= CLIENT_FRAME.length; begun -= CLIENT_FRAME.length) socket.write(SERVER_FRAME);
  });
}
for (const address of process.argv.slice(2)) {
  const [host, port] = address.split(":") as [string, string];
  createServer({ noDelay: true }, serve).listen(Number(port), host);
}
