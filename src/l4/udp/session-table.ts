/**
 * The sessions of one UDP listener in one worker, by client and in the order of their last use.
 *
 * Owns:    the index and the order, as a list through the sessions themselves: a datagram moves its session to the front
 *          at the price of some assignments.
 * @module
 */

/** What the table keeps in a session; `undefined` at the ends of the list. */
export type Listed<Session> = {
  readonly key: string;
  newer: Session | undefined;
  older: Session | undefined;
};

export class SessionTable<Session extends Listed<Session>> {
  readonly #byKey = new Map<string, Session>();
  #newest: Session | undefined;
  #oldest: Session | undefined;

  get size(): number {
    return this.#byKey.size;
  }
  /** The least recently used. */
  get oldest(): Session | undefined {
    return this.#oldest;
  }
  get(key: string): Session | undefined {
    return this.#byKey.get(key);
  }
  values(): IterableIterator<Session> {
    return this.#byKey.values();
  }

  add(session: Session): void {
    this.#byKey.set(session.key, session);
    this.#link(session);
  }
  /** It was used just now. */
  touch(session: Session): void {
    if (this.#newest === session) return;
    this.#unlink(session);
    this.#link(session);
  }
  remove(session: Session): void {
    this.#byKey.delete(session.key);
    this.#unlink(session);
  }

  #link(session: Session): void {
    session.newer = undefined;
    session.older = this.#newest;
    if (this.#newest) this.#newest.newer = session;
    else this.#oldest = session;
    this.#newest = session;
  }
  #unlink(session: Session): void {
    if (session.newer) session.newer.older = session.older;
    else this.#newest = session.older;
    if (session.older) session.older.newer = session.newer;
    else this.#oldest = session.newer;
    session.newer = undefined;
    session.older = undefined;
  }
}
