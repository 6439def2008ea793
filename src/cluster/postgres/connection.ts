/**
 * One connection to PostgreSQL that listens: opened again and again while it is away, with a pause that grows to 5 s.
 *
 * Owns:    the connection. Every question has a time limit; one that is not kept ends the connection, because nobody can
 *          tell what it is still doing.
 * Never:   tells a password: the text of errors is the server's or the system's, and has none.
 * Units:   ms.
 * @module
 */
import { readFileSync } from "node:fs";
import { Socket } from "node:net";
import { Client, type ClientConfig } from "pg";
import { backoffMs } from "#base/backoff.ts";
import type { Clock, Timer } from "#base/clock.ts";
import type { Rng } from "#base/rng.ts";
import { CHANNEL } from "#cluster/postgres/sql.ts";
import type { UpstreamSourceSpec } from "#state/upstreams.ts";

const CONNECT_TIMEOUT_MS = 3_000;
const QUERY_TIMEOUT_MS = 5_000;
const RECONNECT_BASE_MS = 100;
const RECONNECT_CAP_MS = 5_000;
/** How long a good-bye may take. */
const FAREWELL_MS = 500;

export type PostgresConnection = {
  isOpen(): boolean;
  /** @throws what the server or the system says */
  query<Row extends Record<string, unknown>>(text: string, values: readonly unknown[]): Promise<readonly Row[]>;
  /** Ends the connection, and opens another one after the pause: what came on it cannot be trusted. */
  fail(error: unknown): void;
  close(): Promise<void>;
};

/** @returns what the driver wants. The URL is one that `config/` has looked at. @throws when the file of `ca` cannot be read */
function clientConfig({ url, usesTls, caFile }: UpstreamSourceSpec): ClientConfig {
  const { hostname, port, username, password, pathname } = new URL(url);
  const host = decodeURIComponent(hostname).replace(/^\[|\]$/g, "");
  return {
    host,
    port: port === "" ? 5_432 : Number(port),
    user: decodeURIComponent(username),
    password: decodeURIComponent(password),
    database: decodeURIComponent(pathname.slice(1)),
    // Written out, so that nothing of the environment (PGSSLMODE) decides about it.
    ssl: usesTls ? { rejectUnauthorized: true, ...(caFile === undefined ? {} : { ca: readFileSync(caFile) }) } : false,
    application_name: "rhumb",
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    query_timeout: QUERY_TIMEOUT_MS,
    statement_timeout: QUERY_TIMEOUT_MS,
    keepAlive: true,
  };
}

export function connectPostgres(options: {
  readonly spec: UpstreamSourceSpec;
  readonly clock: Clock;
  readonly rng: Rng;
  /** It is open, and listens. */
  readonly onOpen: () => void;
  /** It could not be opened, or has ended. */
  readonly onClose: (error: Error) => void;
  readonly onNotify: () => void;
}): PostgresConnection {
  const { spec, clock, rng, onOpen, onClose, onNotify } = options;
  type Opened = { readonly client: Client; readonly socket: Socket };
  let now: Opened | undefined;
  let isOpen = false;
  let isClosed = false;
  let failures = 0;
  let retry: Timer | undefined;

  function lost(ended: Opened, error: unknown): void {
    if (now !== ended) return; // it was given up before
    now = undefined;
    isOpen = false;
    ended.socket.destroy(); // a server that hangs would not answer a good-bye
    if (isClosed) return;
    onClose(error instanceof Error ? error : new Error(String(error)));
    const pauseMs = RECONNECT_BASE_MS + backoffMs(failures++, RECONNECT_BASE_MS, RECONNECT_CAP_MS, rng);
    retry = clock.after(pauseMs, () => void open());
  }

  async function open(): Promise<void> {
    const socket = new Socket();
    let client: Client;
    try {
      client = new Client({ ...clientConfig(spec), stream: () => socket });
    } catch (error) {
      onClose(error as Error);
      retry = clock.after(RECONNECT_CAP_MS, () => void open());
      return;
    }
    const opened = { client, socket };
    now = opened;
    client.on("error", (error) => lost(opened, error));
    client.on("end", () => lost(opened, new Error("the server closed the connection")));
    client.on("notification", onNotify);
    try {
      await client.connect();
      await client.query(`LISTEN ${CHANNEL}`);
    } catch (error) {
      lost(opened, error);
      return;
    }
    if (now !== opened) return;
    isOpen = true;
    failures = 0;
    onOpen();
  }
  void open();

  return {
    isOpen: () => isOpen,
    async query<Row extends Record<string, unknown>>(text: string, values: readonly unknown[]) {
      if (!now || !isOpen) throw new Error("there is no connection");
      const { rows } = await now.client.query<Row>(text, [...values]);
      return rows;
    },
    fail(error) {
      if (now) lost(now, error);
    },
    async close() {
      isClosed = true;
      retry?.cancel();
      const ending = now;
      now = undefined;
      if (!ending) return;
      const { promise: isLate, resolve } = Promise.withResolvers<void>();
      const timer = clock.after(FAREWELL_MS, resolve);
      await Promise.race([ending.client.end().catch(() => {}), isLate]);
      timer.cancel();
      ending.socket.destroy();
    },
  };
}
