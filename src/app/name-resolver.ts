/**
 * Follows the host names and SRV names of backends: asks again when their TTL ends, and tells when the answer differs.
 *
 * Owns:    the last good answer of each name. It stays when the DNS fails: a backend does not go because a name server does.
 * Never:   decides what becomes of an answer: it goes through the door like a changed file.
 * @module
 */
import { createHash } from "node:crypto";
import { Resolver } from "node:dns/promises";
import { type LastAnswers, reasonOf, resolveName } from "#app/resolve-name.ts";
import type { Clock, Timer } from "#base/clock.ts";
import type { Log } from "#base/log.ts";
import { namesOfPools } from "#config/backends.ts";
import type { ConfigFiles, ResolvedName } from "#config/files.ts";
import { parseRoot } from "#config/parse.ts";
import type { Emit } from "#state/events.ts";

/** How long a start waits for names that were never asked for; then it goes on without them. */
const FIRST_ANSWER_MS = 2_000;
/** After a failure: 1 s, doubling, at most 30 s. */
const RETRY_MS = 1_000;
const MAX_RETRY_MS = 30_000;
/** Of one question to one name server, which is asked twice. */
const TIMEOUT_MS = 1_000;

export type NameResolver = {
  /** The files with what the DNS says of their names; waits at most 2 s for those that it hears of for the first time. */
  complete(files: ConfigFiles): Promise<ConfigFiles>;
  /** Asks for a name that is about to be configured. @returns whether it has an address, at the latest after 2 s */
  learn(name: string): Promise<boolean>;
  /** These names and no others from now on: those of the configuration that serves. */
  follow(names: readonly string[]): void;
  close(): void;
};

export type NameResolverOptions = {
  readonly clock: Clock;
  readonly log: Log;
  readonly emit: Emit;
  /** A name has another answer than before. */
  readonly onChange: () => void;
  /** Name servers, `address:port`. Default: those of the system. */
  readonly servers?: readonly string[];
};

type Entry = {
  readonly name: string;
  readonly last: LastAnswers;
  answer: readonly ResolvedName[];
  failures: number;
  /** The event about it is open. */
  isTold: boolean;
  timer: Timer | undefined;
  resolver: Resolver | undefined;
  /** Resolves when the first look has ended, well or not. */
  readonly first: Promise<void>;
  /** A proposal waits for the first look, and takes what it finds. */
  isAwaited: boolean;
};

export function createNameResolver(options: NameResolverOptions): NameResolver {
  const { clock, log, emit, onChange } = options;
  const entries = new Map<string, Entry>();

  const tell = (entry: Entry, severity: "warning" | "resolved", says: string): void => {
    entry.isTold = severity === "warning";
    emit({ kind: "names.fault", atMs: clock.nowMs(), severity, subject: entry.name, says });
  };
  const stays = ({ answer }: Entry): string =>
    answer.length > 0
      ? `its last ${answer.length === 1 ? "address stays" : `${answer.length} addresses stay`}`
      : "its pools go without it";

  async function look(entry: Entry): Promise<void> {
    // A new resolver each time: it reads /etc/resolv.conf when it is made.
    const resolver = new Resolver({ timeout: TIMEOUT_MS, tries: 2 });
    if (options.servers) resolver.setServers([...options.servers]);
    entry.resolver = resolver;
    let nextMs: number;
    try {
      const { found, ttlMs } = await resolveName(resolver, entry.name, entry.last);
      if (entries.get(entry.name) !== entry) return;
      nextMs = ttlMs;
      entry.failures = 0;
      if (entry.isTold) tell(entry, "resolved", `${entry.name} is resolved again`);
      if (JSON.stringify(found) !== JSON.stringify(entry.answer)) {
        entry.answer = found;
        log.info({ name: entry.name, found }, "A name of backends has other addresses");
        if (!entry.isAwaited) onChange();
      }
    } catch (error) {
      if (entries.get(entry.name) !== entry) return;
      nextMs = Math.min(MAX_RETRY_MS, RETRY_MS * 2 ** Math.min(entry.failures++, 16));
      if (!entry.isTold) tell(entry, "warning", `Cannot resolve ${entry.name}: ${reasonOf(error)}; ${stays(entry)}`);
    }
    entry.timer = clock.after(nextMs, () => void look(entry));
  }

  function enter(name: string, isAwaited = false): Entry {
    const known = entries.get(name);
    if (known) return known;
    const { promise: first, resolve } = Promise.withResolvers<void>();
    const entry: Entry = {
      name,
      last: new Map(),
      answer: [],
      failures: 0,
      isTold: false,
      timer: undefined,
      resolver: undefined,
      first,
      isAwaited,
    };
    entries.set(name, entry);
    void look(entry).then(resolve);
    return entry;
  }
  const leave = ({ name, timer, resolver }: Entry): void => {
    entries.delete(name);
    timer?.cancel();
    resolver?.cancel();
  };

  /** Until all have had their first look, or the time is over. */
  async function waitFor(waited: readonly Entry[]): Promise<void> {
    const { promise: timeout, resolve } = Promise.withResolvers<void>();
    const timer = clock.after(FIRST_ANSWER_MS, resolve);
    await Promise.race([Promise.all(waited.map(({ first }) => first)), timeout]);
    timer.cancel();
  }

  return {
    async complete(files) {
      const pools = parseRoot(files.root, []).balancer?.pools.valid.values() ?? [];
      const wanted = namesOfPools(pools);
      const fresh = wanted.filter((name) => !entries.has(name)).map((name) => enter(name, true));
      if (fresh.length > 0) await waitFor(fresh);
      for (const entry of fresh) {
        entry.isAwaited = false;
        if (entry.answer.length === 0 && !entry.isTold)
          tell(entry, "warning", `No answer for ${entry.name} within ${FIRST_ANSWER_MS} ms; ${stays(entry)}`);
      }
      const names = new Map([...entries].flatMap(([name, { answer }]) => (answer.length > 0 ? [[name, answer]] : [])));
      if (entries.size === 0) return files;
      const digest = createHash("sha256")
        .update(files.digest)
        .update(JSON.stringify([...names].sort()));
      return { ...files, names, digest: digest.digest("hex") };
    },
    async learn(name) {
      const entry = enter(name, true);
      await waitFor([entry]);
      entry.isAwaited = false;
      return entry.answer.length > 0;
    },
    follow(names) {
      const wanted = new Set(names);
      for (const [name, entry] of entries) if (!wanted.has(name)) leave(entry);
      for (const name of wanted) enter(name);
    },
    close() {
      for (const entry of [...entries.values()]) leave(entry);
    },
  };
}
