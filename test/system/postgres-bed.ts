/**
 * A real PostgreSQL with a data folder of its own, as an operator sets it up: by the SQL of deploy/postgres/.
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, chownSync, copyFileSync, existsSync, globSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { Client } from "pg";
import { childrenOf, projectFolder } from "./running.ts";
import { freePort } from "./tools.ts";

const BIN = globSync("/usr/lib/postgresql/*/bin").sort().at(-1);
/** Why tests of it are skipped, or false. In CI nothing is. */
export const withoutPostgres: string | false = BIN === undefined && !process.env["CI"] && "not installed: postgresql";

/** PostgreSQL does not run as root: then it runs as the user of Debian's package. */
function userOf(): { readonly uid?: number; readonly gid?: number } {
  if (process.getuid!() !== 0) return {};
  const idOf = (flag: string): number => Number(spawnSync("id", [flag, "postgres"], { encoding: "utf8" }).stdout);
  return { uid: idOf("-u"), gid: idOf("-g") };
}

export type PostgresBed = {
  readonly port: number;
  readonly password: string;
  /** Of the user `rhumb`, on loopback without TLS. */
  readonly url: string;
  /** As the owner of the database. */
  sql<Row extends Record<string, unknown>>(text: string, values?: readonly unknown[]): Promise<Row[]>;
  /** Runs a file of deploy/postgres/ with psql. */
  deploy(file: string, variables?: Readonly<Record<string, string>>): void;
  /** All of its processes, at once, as a crash of the machine would. */
  kill(): Promise<void>;
  start(): Promise<void>;
  /** Stops answering without closing anything, until `thaw()`. */
  freeze(): void;
  thaw(): void;
};

/** @param tls PEM files of the server: TLS is offered then */
export async function startPostgres(
  context: Pick<TestContext, "after">,
  tls?: { readonly cert: string; readonly key: string },
): Promise<PostgresBed> {
  const user = userOf();
  const folder = mkdtempSync(join(tmpdir(), "rhumb-postgres-"));
  const data = join(folder, "data");
  const port = await freePort();
  const give = (path: string): void => {
    if (user.uid !== undefined) chownSync(path, user.uid, user.gid!);
  };
  give(folder);
  const made = spawnSync(join(BIN!, "initdb"), ["-D", data, "-A", "trust", "-U", "owner", "--no-sync", "-E", "UTF8"], {
    ...user,
    encoding: "utf8",
    cwd: folder,
  });
  if (made.status !== 0) throw new Error(`initdb: ${made.stderr}`);
  writeFileSync(
    join(data, "pg_hba.conf"),
    "host all owner 127.0.0.1/32 trust\nhost all all 127.0.0.1/32 scram-sha-256\n",
  );
  for (const name of ["cert", "key"] as const) {
    if (!tls) continue;
    const path = join(data, `server.${name}`);
    copyFileSync(tls[name], path);
    give(path);
    chmodSync(path, 0o600);
  }
  const settings = {
    port,
    listen_addresses: "127.0.0.1",
    unix_socket_directories: folder,
    fsync: "off",
    max_connections: 20,
    shared_buffers: "16MB",
    ...(tls ? { ssl: "on", ssl_cert_file: "server.cert", ssl_key_file: "server.key" } : {}),
  };
  const words = ["-D", data, ...Object.entries(settings).flatMap(([key, value]) => ["-c", `${key}=${value}`])];

  let child: ReturnType<typeof spawn> | undefined;
  const bed = { isRunning: false };
  async function start(): Promise<void> {
    const started = spawn(join(BIN!, "postgres"), words, {
      ...user,
      cwd: folder,
      stdio: ["ignore", "ignore", "pipe"],
    });
    child = started;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    let output = "";
    started.stderr!.setEncoding("utf8").on("data", (text: string) => {
      output += text;
      if (/ready to accept connections/.test(output)) resolve();
    });
    started.once("exit", (code) => reject(new Error(`postgres ended with ${code}:\n${output}`)));
    await promise;
    bed.isRunning = true;
  }
  // Each of its processes is a session of its own.
  const signal = (name: NodeJS.Signals): void => {
    for (const pid of [child!.pid!, ...childrenOf(child!.pid!)]) process.kill(pid, name);
  };
  async function kill(): Promise<void> {
    if (!bed.isRunning) return;
    bed.isRunning = false;
    const ended = once(child!, "exit");
    signal("SIGKILL");
    await ended;
  }
  context.after(async () => {
    await kill();
    rmSync(folder, { recursive: true, force: true });
  });
  await start();
  return {
    port,
    password: "secret-of-the-bed",
    url: `postgres://rhumb:secret-of-the-bed@127.0.0.1:${port}/postgres`,
    async sql<Row extends Record<string, unknown>>(text: string, values: readonly unknown[] = []) {
      const client = new Client({ host: "127.0.0.1", port, user: "owner", database: "postgres" });
      await client.connect();
      try {
        return (await client.query<Row>(text, [...values])).rows;
      } finally {
        await client.end();
      }
    },
    deploy(file, variables = {}) {
      const path = join(projectFolder, "deploy/postgres", file);
      if (!existsSync(path)) throw new Error(`there is no ${path}`);
      const set = Object.entries(variables).flatMap(([key, value]) => ["-v", `${key}=${value}`]);
      const at = ["-h", "127.0.0.1", "-p", `${port}`, "-U", "owner", "-d", "postgres"];
      const ran = spawnSync(join(BIN!, "psql"), [...at, "-v", "ON_ERROR_STOP=1", ...set, "-f", path], {
        encoding: "utf8",
      });
      if (ran.status !== 0) throw new Error(`${file}: ${ran.stderr}`);
    },
    kill,
    start,
    freeze: () => signal("SIGSTOP"),
    thaw: () => signal("SIGCONT"),
  };
}

/** With the table, its triggers, and the user, all as shipped. */
export async function startWithTable(...parameters: Parameters<typeof startPostgres>): Promise<PostgresBed> {
  const bed = await startPostgres(...parameters);
  bed.deploy("upstream_servers.sql");
  bed.deploy("rhumb_user.sql", { password: bed.password });
  return bed;
}
