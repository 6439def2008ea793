/**
 * The `notify:` section of rhumb.yaml: who is told of alarms.
 *
 * Reader:  `config/`, which turns it into `NotifySpec`.
 * @module
 */

import { z } from "zod";
import { doc, refuse, SECRET_PATTERN, secret, text } from "#base/field.ts";

const live = { reload: "live" } as const;
const address = z
  .string()
  .superRefine((value, context) => {
    if (SECRET_PATTERN.test(value)) return;
    if (!URL.canParse(value) || !/^https?:/.test(value))
      refuse(context, "Must be an http or https URL, or a reference to one", "Write https://…, env:NAME or file:PATH");
  })
  .meta({ expects: "a URL, env:NAME or file:PATH", unit: "URL or secret" });

/** By `kind`. */
export const NOTIFY_SCHEMAS = {
  webhook: z.strictObject({
    kind: doc(z.literal("webhook"), "POST of the event as JSON.", live),
    url: doc(address, "Where to; a URL with a key in it belongs into a secret.", live),
    headers: doc(z.record(text("a header name"), secret()).default({}), "Headers to add, such as Authorization.", live),
  }),
  alertmanager: z.strictObject({
    kind: doc(z.literal("alertmanager"), "Prometheus Alertmanager, API v2.", live),
    url: doc(address, "Base URL of the Alertmanager.", live),
  }),
  command: z.strictObject({
    kind: doc(z.literal("command"), "A program that gets the event as JSON on its standard input.", live),
    command: doc(z.array(text()).min(1).max(64), "Program and arguments; no shell is involved.", live),
  }),
} as const;
export type NotifyConfig = z.output<(typeof NOTIFY_SCHEMAS)[keyof typeof NOTIFY_SCHEMAS]>;
