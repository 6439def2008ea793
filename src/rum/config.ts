/**
 * The `rum:` section of rhumb.yaml: beacons in which pages say how far browsers are from regions.
 *
 * Reader:  `config/`, which turns it into `RumSpec`.
 * @module
 */
import { z } from "zod";
import { doc, hostPort, network, path, refuse, requestsPerSecond, secret } from "#base/field.ts";

const live = { reload: "live" } as const;

const origin = z
  .string()
  .superRefine((value, context) => {
    const url = URL.canParse(value) ? new URL(value) : undefined;
    if (!url || !/^https?:$/.test(url.protocol) || url.origin !== value)
      refuse(
        context,
        `Must be the origin of a page; is ${JSON.stringify(value)}`,
        "Write scheme and host, such as https://www.example.com, without a path",
      );
  })
  .meta({ expects: "an origin such as https://www.example.com", unit: "origin" });

export const rumSchema = z.strictObject({
  listen: doc(hostPort(), "Where beacons come in: `POST /rum`. An address and port of its own.", live),
  origins: doc(z.array(origin).min(1).max(256), "Pages that may send: the `Origin` that browsers say.", live),
  key: doc(
    secret(),
    "What tokens are signed with: at least 32 characters, the same on all nodes and on the pages' own server.",
    live,
  ),
  tls: doc(
    z
      .strictObject({
        cert: doc(path(), "PEM file of the certificate and what it was issued by.", live),
        key: doc(path(), "PEM file of its key.", live),
      })
      .optional(),
    "Absent: plain HTTP, for a listener behind a proxy that ends TLS. Browsers do not send from https pages to http.",
    live,
  ),
  proxies: doc(
    z.array(network()).max(256).prefault([]),
    "Networks of your own proxies: of their requests the client is the last address in `X-Forwarded-For` that is none of them.",
    live,
  ),
  rate: doc(
    z
      .strictObject({
        total: doc(requestsPerSecond(1, 10_000).prefault("200rps"), "Beacons of all clients together.", live),
        network: doc(
          requestsPerSecond(0.01, 1_000).prefault("1rps"),
          "Of one /24 or /48; ten at once may be more.",
          live,
        ),
      })
      .prefault({}),
    "More than this is refused with 429.",
    live,
  ),
});
export type RumConfig = z.output<typeof rumSchema>;
