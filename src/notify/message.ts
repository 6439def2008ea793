/** What each kind of notifier is sent for an event: pure functions. @module */
import type { RhumbEvent } from "#state/events.ts";

/** JSON of webhooks and commands; `version` moves when a field changes its meaning. */
export const messageOf = (event: RhumbEvent, node: string): object => ({
  version: 1,
  node,
  kind: event.kind,
  severity: event.severity,
  subject: event.subject,
  says: event.says,
  at: new Date(event.atMs).toISOString(),
  data: event.data ?? {},
});

/**
 * Body of POST /api/v2/alerts (Prometheus Alertmanager API v2). Labels identify the alert, so they hold nothing that
 * changes; a resolved one ends now, and one that we would repeat lives a little longer than that.
 *
 * @param severity of the alarm that the event raises or ends: a label, because that is what routes go by
 */
export function alertsOf(event: RhumbEvent, severity: "warning" | "alarm", node: string, repeatMs: number): object[] {
  const isResolved = event.severity === "resolved";
  return [
    {
      labels: { alertname: `rhumb.${event.kind}`, subject: event.subject, node, severity },
      annotations: { summary: event.says },
      ...(isResolved
        ? { endsAt: new Date(event.atMs).toISOString() }
        : {
            startsAt: new Date(event.atMs).toISOString(),
            endsAt: new Date(event.atMs + repeatMs + 300_000).toISOString(),
          }),
    },
  ];
}
