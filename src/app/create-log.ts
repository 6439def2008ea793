/**
 * The process's log: pino, as JSON lines or as text for a person at a terminal.
 *
 * Never:   ends the process. Where a line cannot be written (its reader has gone, the disk is full), it is lost, and
 *          what the process is there for goes on; the next line is tried again.
 * @module
 */
import { Writable } from "node:stream";
import { pino } from "pino";
import type { Log } from "#base/log.ts";

export type LogFormat = "json" | "text";

/** @param stream where lines go; standard error by default, so that standard output stays the command's own */
export function createLog(options: { level: string; format: LogFormat; stream?: Writable }): Log {
  const { level, format, stream = process.stderr } = options;
  // Without a listener, an error of the stream would be an uncaught exception. Once: there may be several logs.
  if (!stream.listeners("error").includes(ignore)) stream.on("error", ignore);
  const settings = {
    level,
    base: undefined,
    timestamp: pino.stdTimeFunctions.isoTime,
    serializers: { error: errorText },
  };
  return format === "json" ? pino(settings, stream) : pino(settings, asText(stream));
}

const ignore = (): void => {};

/** An Error has nothing that JSON would show. */
const errorText = (error: unknown): unknown => (error instanceof Error ? (error.stack ?? error.message) : error);

const LEVELS: Readonly<Record<number, string>> = { 20: "debug", 30: "info", 40: "WARN", 50: "ERROR", 60: "FATAL" };

function asText(stream: Writable): Writable {
  return new Writable({
    write(chunk: Buffer, _encoding, done) {
      const { level, time, msg } = JSON.parse(chunk.toString()) as { level: number; time: string; msg: string };
      stream.write(`${time.slice(11, 23)} ${(LEVELS[level] ?? String(level)).padEnd(5)} ${msg}\n`);
      done();
    },
  });
}
