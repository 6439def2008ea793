/**
 * One thing that can be wrong with the table, told once when it is and once when it is over.
 * @module
 */
import type { Clock } from "#base/clock.ts";
import type { Emit } from "#state/events.ts";

export type Fault = {
  /** Told as an event when it is about something else than the last one. */
  tell(says: string, about?: string): void;
  /** @param meanwhile what serves while it is so */
  tellError(error: unknown, meanwhile: string): void;
  resolve(says: string): void;
  /** Null: all is well. */
  says(): string | null;
};

/** Errors by their SQLSTATE (PostgreSQL, Appendix A), or the first two characters of it. */
const FIXES: readonly (readonly [state: string, fix: string])[] = [
  ["42501", "Grant the rights that docs/postgres.md lists"],
  ["42", "Compare the table with deploy/postgres/upstream_servers.sql"],
  ["22", "Compare the table's columns with deploy/postgres/upstream_servers.sql"],
  ["28", "Check user and password of the URL, and pg_hba.conf"],
  ["3D", "Check the name of the database in the URL"],
  ["53", "Raise max_connections, or see who holds its connections"],
];

export function createFault(options: {
  readonly emit: Emit;
  readonly clock: Clock;
  readonly subject: string;
  readonly table: string;
}): Fault {
  const { emit, clock, subject, table } = options;
  let told: string | null = null;
  let toldAbout = "";
  const event = (severity: "warning" | "resolved", says: string): void =>
    emit({ kind: "source.fault", atMs: clock.nowMs(), severity, subject, says });
  const tell = (says: string, about = says): void => {
    const isKnown = told !== null && toldAbout === about;
    told = says;
    toldAbout = about;
    if (!isKnown) event("warning", says);
  };
  return {
    tell,
    tellError(error, meanwhile) {
      const { code = "", message } = error as { code?: string; message: string };
      const known = FIXES.find(([state]) => code.startsWith(state));
      const fix = known?.[1] ?? "Check that the database runs, and its URL";
      // A system error of several addresses has no text of its own. One that ends, refuses and starts is one that is away.
      tell(`Cannot use the table ${table}: ${message || code}; ${meanwhile}. ${fix}`, known ? message : "away");
    },
    resolve(says) {
      if (told === null) return;
      told = null;
      event("resolved", says);
    },
    says: () => told,
  };
}
