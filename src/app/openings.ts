/**
 * The listeners that a worker thread was asked to open, and those that it has open.
 * @module
 */

/** Why a listener could not be opened; `code` is the system's, such as EADDRINUSE. */
export class ListenFault extends Error {
  readonly code: string;
  constructor(code: string, says: string) {
    super(says);
    this.name = "ListenFault";
    this.code = code;
  }
}

export type Openings = {
  /** It was asked for. Resolves with the port. @throws ListenFault */
  asked(key: string): Promise<number>;
  opened(key: string, port: number): void;
  failed(key: string, code: string, says: string): void;
  closed(key: string): void;
  /** The thread is gone, and with it all that was open. */
  lost(says: string): void;
  isOpen(key: string): boolean;
};

export function createOpenings(): Openings {
  const open = new Set<string>();
  const waiting = new Map<string, PromiseWithResolvers<number>>();
  function failed(key: string, code: string, says: string): void {
    waiting.get(key)?.reject(new ListenFault(code, says));
    waiting.delete(key);
  }
  return {
    asked(key) {
      const asked = waiting.get(key) ?? Promise.withResolvers<number>();
      waiting.set(key, asked);
      return asked.promise;
    },
    opened(key, port) {
      open.add(key);
      waiting.get(key)?.resolve(port);
      waiting.delete(key);
    },
    failed,
    closed: (key) => open.delete(key),
    lost(says) {
      open.clear();
      for (const key of [...waiting.keys()]) failed(key, "EWORKER", `The worker ended: ${says}`);
    },
    isOpen: (key) => open.has(key),
  };
}
