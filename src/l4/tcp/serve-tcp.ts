/**
 * A TCP listener in one worker: its sockets, its sessions, and what an operator does to them.
 *
 * Owns:    the driver's listeners and the sessions. New settings are for new connections; those that live keep theirs.
 * Never:   looks at octets; a session does (`tcp-session.ts`), and a driver moves them.
 * @module
 */

import { createListenerPlan } from "#l4/tcp/listener-plan.ts";
import { TcpSession } from "#l4/tcp/tcp-session.ts";
import { createUniqueIds } from "#l4/tcp/upstream-head.ts";
import type { DriverListener, TcpConn, TcpDriver } from "#net/driver.ts";
import type { Listener, ListenerContext } from "#net/listener.ts";
import type { ListenerSpec } from "#state/balancer.ts";

export function createTcpListener(options: {
  readonly spec: ListenerSpec;
  readonly context: ListenerContext;
  readonly driver: TcpDriver;
}): Listener {
  const { context, driver } = options;
  const planOf = (spec: ListenerSpec) =>
    createListenerPlan(spec, context.places, spec.protocol === "tls" ? context.contextsOf(spec) : undefined);
  let plan = planOf(options.spec);
  const listeners = new Set<DriverListener>();
  const sessions = new Set<TcpSession>();
  /** Called when the last session and the last listener are gone. */
  let drained: (() => void) | undefined;

  const host = {
    context,
    driver,
    ids: createUniqueIds(),
    connecting: new Set<TcpSession>(),
    ended(session: TcpSession) {
      sessions.delete(session);
      if (sessions.size === 0 && listeners.size === 0) drained?.();
    },
  };

  function accept(conn: TcpConn): void {
    const session = new TcpSession(host, plan, conn);
    sessions.add(session);
    session.start();
  }

  return {
    apply(spec) {
      plan = planOf(spec);
    },
    async open(fd, at) {
      listeners.add(driver.listen(fd!, plan.spec.backlog, accept));
      return at.port;
    },
    stopBackend(row) {
      for (const session of [...sessions]) session.leave(row);
    },
    async drain(drainMs) {
      const over = new Promise<void>((resolve) => {
        drained = resolve;
      });
      for (const listener of listeners) {
        listener.close(() => {
          listeners.delete(listener);
          if (sessions.size === 0 && listeners.size === 0) drained?.();
        });
      }
      if (sessions.size === 0 && listeners.size === 0) return;
      const deadline = context.clock.after(drainMs, () => {
        for (const session of [...sessions]) session.stop();
      });
      await over;
      deadline.cancel();
    },
    tick() {
      // Most connects are over before the next tick; who waits longer is looked after.
      for (const session of host.connecting) session.watch();
    },
    connections: () => sessions.size,
  };
}
