/**
 * A TCP listener in one worker: its sockets, its sessions, and what an operator does to them.
 *
 * Owns:    the driver's listeners, who arrives at them, and the sessions. New settings are for new connections; those that live keep theirs.
 * Never:   looks at octets; a session does (`tcp-session.ts`), and a driver moves them.
 * @module
 */

import { createListenerPlan, type ListenerPlan } from "#l4/tcp/listener-plan.ts";
import { TcpSession } from "#l4/tcp/tcp-session.ts";
import { createArrivals } from "#net/arrival.ts";
import type { DriverListener, TcpDriver } from "#net/driver.ts";
import type { Listener, ListenerContext } from "#net/listener.ts";
import { createUniqueIds } from "#net/proxy-head.ts";
import type { ListenerSpec } from "#state/balancer.ts";

export function createTcpListener(options: {
  readonly spec: ListenerSpec;
  readonly context: ListenerContext;
  readonly driver: TcpDriver;
}): Listener {
  const { context, driver } = options;
  let plan = createListenerPlan(options.spec, context);
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
      if (isEmpty()) drained?.();
    },
  };
  const arrivals = createArrivals<ListenerPlan>({
    context,
    driver,
    arrived(client, itsPlan) {
      const session = new TcpSession(host, itsPlan, client);
      sessions.add(session);
      session.start();
    },
    refused() {
      if (isEmpty()) drained?.();
    },
  });
  const isEmpty = (): boolean => sessions.size === 0 && arrivals.size() === 0 && listeners.size === 0;

  return {
    apply(spec) {
      plan = createListenerPlan(spec, context);
    },
    async open(fd, at) {
      listeners.add(driver.listen(fd!, plan.spec.backlog, (conn) => arrivals.start(conn, plan)));
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
          if (isEmpty()) drained?.();
        });
      }
      if (isEmpty()) return;
      const deadline = context.clock.after(drainMs, () => {
        arrivals.stop();
        for (const session of [...sessions]) session.stop();
      });
      await over;
      deadline.cancel();
    },
    tick() {
      // Most connects are over before the next tick; who waits longer is looked after.
      for (const session of host.connecting) session.watch();
    },
    connections: () => sessions.size + arrivals.size(),
  };
}
