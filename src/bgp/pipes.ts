/**
 * Named pipes, opened so that nothing here ever waits for whoever should be at the other end.
 *
 * For writing without a reader `open` fails (ENXIO), and later writes do (EPIPE): that is how we know that ExaBGP or its
 * guard is gone, and what was written for a dead one is gone with it, not executed by the next. The pipe that we read is
 * opened for writing as well (fifo(7)): it does not end each time that ExaBGP, which opens it anew for every line, closes it.
 * @module
 */
import { closeSync, constants, fstatSync, openSync, writeSync } from "node:fs";
import { Socket } from "node:net";

export type WritePipe = {
  /** @returns octets taken: fewer than there are when it is full. @throws the system's error when nobody reads */
  write(bytes: Uint8Array): number;
  close(): void;
};
export type ReadPipe = { close(): void };
export type Pipes = {
  /** @throws the system's error */
  openWrite(path: string): WritePipe;
  openRead(path: string, take: (text: string) => void): ReadPipe;
};

/** @throws an error of code ENOTFIFO, so that we never append commands to a file that lies in the pipe's place */
function openFifo(path: string, flags: number): number {
  const fd = openSync(path, flags | constants.O_NONBLOCK);
  if (fstatSync(fd).isFIFO()) return fd;
  closeSync(fd);
  throw Object.assign(new Error(`${path} is not a named pipe`), { code: "ENOTFIFO" });
}

export const systemPipes: Pipes = {
  openWrite(path) {
    const fd = openFifo(path, constants.O_WRONLY);
    return {
      write(bytes) {
        try {
          return writeSync(fd, bytes);
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code === "EAGAIN") return 0;
          throw error;
        }
      },
      close: () => closeSync(fd),
    };
  },
  openRead(path, take) {
    const socket = new Socket({ fd: openFifo(path, constants.O_RDWR), readable: true, writable: false });
    socket.setEncoding("utf8").on("data", (text) => take(String(text)));
    // Its end and its faults mean no more than that no answer comes: the time-out of the command says so.
    socket.on("error", () => socket.destroy());
    socket.unref();
    return { close: () => socket.destroy() };
  },
};

const REASONS: Readonly<Record<string, string>> = {
  ENXIO: "nobody reads it",
  EPIPE: "nobody reads it any more",
  ENOENT: "it is not there",
  EACCES: "this user may not open it",
  ENOTFIFO: "it is not a named pipe",
};
/** `/run/exabgp/exabgp.in: nobody reads it` */
export function pipeFault(path: string, error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return `${path}: ${REASONS[code ?? ""] ?? message}`;
}
