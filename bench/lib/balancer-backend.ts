/**
 * The web servers behind the balancers: one nginx with one worker, on several addresses.
 * @module
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { connect as connectTls } from "node:tls";

/** What `/small` answers, in octets; `/bulk` has one MiB. */
const SMALL_OCTETS = 200;
export const BULK_OCTETS = 1_048_576;
/** Longer than any measurement. */
const PATIENCE = "600s";

/** @param folder an empty one. @param listen `address:port` of each server. @returns the command that runs them */
export function backendCommand(folder: string, listen: readonly string[], maxConnections: number): string[] {
  const file = join(folder, "nginx.conf");
  mkdirSync(join(folder, "html"), { recursive: true });
  writeFileSync(join(folder, "html", "bulk"), Buffer.alloc(BULK_OCTETS, "rhumb"));
  writeFileSync(
    file,
    `daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log crit;
events { worker_connections ${maxConnections}; }
http {
  access_log off;
  sendfile on;
  open_file_cache max=10;
  keepalive_requests 1000000000;
  keepalive_timeout ${PATIENCE};
  client_header_timeout ${PATIENCE};
  client_body_temp_path ${folder}; proxy_temp_path ${folder}; fastcgi_temp_path ${folder};
  uwsgi_temp_path ${folder}; scgi_temp_path ${folder};
  server {
    ${listen.map((address) => `listen ${address} backlog=4096;`).join(" ")}
    root ${folder}/html;
    location = /small { return 200 "${"x".repeat(SMALL_OCTETS)}"; }
  }
}
`,
  );
  // Workers run as another user, who may not look into a folder of mkdtemp().
  return ["nginx", "-e", "stderr", "-p", folder, "-c", file, ...(process.getuid?.() === 0 ? ["-g", "user root;"] : [])];
}

/** Does a server there answer `/small`? */
export function answersAt(address: string, port: number, isTls = false): Promise<boolean> {
  return new Promise((resolve) => {
    const at = { host: address, port };
    const socket = isTls ? connectTls({ ...at, rejectUnauthorized: false }) : connect(at);
    const finish = (isAnswer: boolean): void => {
      socket.destroy();
      resolve(isAnswer);
    };
    socket.setTimeout(500, () => finish(false));
    socket.on("error", () => finish(false));
    socket.on("close", () => finish(false));
    socket.once("data", (text: Buffer) => finish(text.toString().startsWith("HTTP/1.1 200")));
    socket.write("GET /small HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n");
  });
}
