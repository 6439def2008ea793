/**
 * Carries connections into a network namespace and out of it: a socket in the file system is the same in all of them. One
 * of these runs on either side.
 *
 * Run as a child: `door-process.ts DOORS`, a JSON list of `Door`; sends "ready" once all of them listen, and ends with its
 * parent.
 * @module
 */
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import type { Endpoint } from "#drill/stage.ts";

/** A path is a socket in the file system. */
export type Door = { readonly listen: Endpoint | string; readonly to: Endpoint | string };

const optionsOf = (at: Endpoint | string) =>
  typeof at === "string" ? { path: at } : { host: at.address, port: at.port, noDelay: true };

function carry(near: Socket, far: Socket): void {
  for (const [from, to] of [
    [near, far],
    [far, near],
  ] as const) {
    from.pipe(to);
    from.on("error", () => to.destroy());
    from.on("close", () => to.destroySoon());
  }
}

const doors = JSON.parse(process.argv[2] ?? "[]") as readonly Door[];
await Promise.all(
  doors.map(async ({ listen, to }) => {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) =>
      carry(near, connect({ ...optionsOf(to), allowHalfOpen: true })),
    );
    server.listen(optionsOf(listen));
    await once(server, "listening");
  }),
);
process.on("disconnect", () => process.exit(0));
process.send?.("ready");
