/**
 * A backend for tests of kernel mode: says its name to each TCP connection and echoes what comes after that; answers each
 * datagram with its name. Words: NAME, then the addresses for UDP; on ports 80 and 8080. TCP listens on all addresses.
 * Each answer is `NAME CLIENT-ADDRESS`.
 */
import { createSocket } from "node:dgram";
import { createServer } from "node:net";

const [name, ...addresses] = process.argv.slice(2);
const waits: Promise<void>[] = [];
const waitFor = (listen: (done: () => void) => void): void =>
  void waits.push(new Promise<void>((done) => listen(done)));

for (const port of [80, 8080]) {
  const server = createServer((socket) => {
    socket.on("error", () => socket.destroy());
    const from = socket.remoteAddress?.replace(/^::ffff:/, "");
    if (from === undefined) return; // gone before it was accepted
    socket.write(`${name} ${from}\n`);
    socket.pipe(socket);
  });
  waitFor((done) => server.listen(port, "::", done));
  for (const address of addresses) {
    // A socket that is bound to every address answers from another than was asked: the VIP must be named.
    const socket = createSocket({ type: address.includes(":") ? "udp6" : "udp4" });
    socket.on("message", (_, { address: from, port: to }) => socket.send(`${name} ${from}\n`, to, from));
    waitFor((done) => socket.bind(port, address, done));
  }
}
await Promise.all(waits);
process.stdout.write("ready\n");
