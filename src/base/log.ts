/**
 * The log interface that rooms write to. `app/` hands in pino; tests hand in a recorder.
 * Shape follows pino: fields first, sentence second.
 * @module
 */
export type LogFields = Readonly<Record<string, unknown>>;
export type Log = {
  debug(fields: LogFields, says: string): void;
  info(fields: LogFields, says: string): void;
  warn(fields: LogFields, says: string): void;
  error(fields: LogFields, says: string): void;
};

export const silentLog: Log = { debug() {}, info() {}, warn() {}, error() {} };
