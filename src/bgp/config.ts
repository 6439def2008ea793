/**
 * The `anycast:` section of rhumb.yaml: prefixes that this node announces through an ExaBGP beside it.
 *
 * Reader:  `config/`, which turns it into `AnycastSpec`.
 * @module
 */
import { z } from "zod";
import { doc, durationMs, hostPort, integer, path, refuse, text } from "#base/field.ts";
import { formatCidr, formatIp, maskIp, parseCidr, parseIp } from "#base/ip.ts";

const live = { reload: "live" } as const;

/** The guard is told of all prefixes in one line, which has to be shorter than a pipe takes whole (PIPE_BUF, 4096 octets). */
const MAX_PREFIXES = 64;
/** The guard withdraws after a second without a heartbeat; one that is late must not be enough. */
const MAX_HEARTBEAT = "500ms";

const prefix = z
  .string()
  .superRefine((value, context) => {
    const cidr = value.includes("/") ? parseCidr(value) : undefined;
    if (cidr && formatCidr(cidr) === value) return;
    const says = `Must be a prefix in canonical form; is ${JSON.stringify(value)}`;
    refuse(context, says, canonical(value) ?? "Write a prefix such as 203.0.113.1/32 or 2001:db8::1/128");
  })
  .meta({ expects: "a prefix such as 203.0.113.1/32", unit: "network" });

/** @returns the fix for text that means a prefix */
function canonical(value: string): string | undefined {
  const [host = "", bits] = value.split("/");
  const bytes = parseIp(host);
  if (!bytes) return undefined;
  const length = bits === undefined || bits === "" ? bytes.length * 8 : Number(bits);
  if (!Number.isInteger(length) || length < 0 || length > bytes.length * 8) return undefined;
  return `Write ${formatCidr({ bytes: maskIp(bytes, length), bits: length })}`;
}

const nextHop = z
  .string()
  .superRefine((value, context) => {
    const bytes = value === "self" ? undefined : parseIp(value);
    if (value !== "self" && (!bytes || formatIp(bytes) !== value))
      refuse(context, `Must be self or an IP address; is ${JSON.stringify(value)}`, "Write `self`, or an address");
  })
  .meta({ expects: "self, or an IP address" });

/** Names of RFC 1997, 7999 and 8326. They go out as numbers: ExaBGP takes some names for commands (`bgp/route.ts`). */
const WELL_KNOWN: Readonly<Record<string, string>> = {
  "no-export": "65535:65281",
  "no-advertise": "65535:65282",
  "no-export-subconfed": "65535:65283",
  "no-peer": "65535:65284",
  blackhole: "65535:666",
};

const parts = (value: string, count: number, max: number): boolean => {
  const numbers = value.split(":");
  return numbers.length === count && numbers.every((part) => /^(?:0|[1-9][0-9]*)$/.test(part) && Number(part) <= max);
};

const community = z
  .string()
  .transform((value, context): string => {
    const known = WELL_KNOWN[value] ?? value;
    if (parts(known, 2, 65_535)) return known;
    return refuse(
      context,
      `Must be a community; is ${JSON.stringify(value)}`,
      `Write two numbers up to 65535, such as "65000:1", or one of ${Object.keys(WELL_KNOWN).join(", ")}`,
    );
  })
  .meta({ expects: 'a community such as "65000:1"', unit: "community" });

const largeCommunity = z
  .string()
  .superRefine((value, context) => {
    if (!parts(value, 3, 4_294_967_295))
      refuse(
        context,
        `Must be a large community (RFC 8092); is ${JSON.stringify(value)}`,
        'Write three numbers, such as "65000:1:2"',
      );
  })
  .meta({ expects: 'a large community such as "65000:1:2"', unit: "large community" });

const prefixSchema = z
  .strictObject({
    prefix: doc(
      prefix,
      "What is announced: an address of our listeners as a /32 or /128, or a network around it.",
      live,
    ),
    nextHop: doc(
      nextHop.default("self"),
      "`self`: ExaBGP's own address in the session; or another of this host.",
      live,
    ),
    med: doc(
      integer(0, 4_294_967_295).optional(),
      "MULTI_EXIT_DISC: of routes from one AS, the lowest is taken.",
      live,
    ),
    prepend: doc(
      integer(0, 16).default(0),
      "Our own AS so many times more in the path: for a region of last resort.",
      live,
    ),
    communities: doc(z.array(community).max(32).default([]), "Communities (RFC 1997).", live),
    largeCommunities: doc(z.array(largeCommunity).max(32).default([]), "Large communities (RFC 8092).", live),
    minAdvertisers: doc(
      integer(0, 64).default(1),
      "A planned withdrawal is refused where fewer other nodes would go on announcing it, or nobody knows. 0: never refused.",
      live,
    ),
  })
  .superRefine(({ prefix, nextHop }, context) => {
    if (nextHop !== "self" && prefix.includes(":") !== nextHop.includes(":"))
      refuse(
        context,
        `The next hop ${nextHop} is of another family than ${prefix}`,
        "Write `self`, or an address of the prefix's own family",
      );
  });

export const anycastSchema = z.strictObject({
  exabgp: doc(
    z
      .strictObject({
        in: doc(path().default("/run/exabgp/exabgp.in"), "Named pipe of commands to ExaBGP.", live),
        out: doc(path().default("/run/exabgp/exabgp.out"), "Named pipe of its answers.", live),
        heartbeat: doc(
          durationMs("50ms", MAX_HEARTBEAT).prefault("200ms"),
          "How often the guard hears of us; it withdraws everything after a second of silence.",
          live,
        ),
        heartbeatPath: doc(
          path().optional(),
          "Named pipe that the guard reads; by default `rhumb.heartbeat` beside `in`.",
          live,
        ),
      })
      .prefault({}),
    "Where the ExaBGP beside this node is reached. docs/anycast.md sets it up.",
    live,
  ),
  prefixes: doc(z.array(prefixSchema).min(1).max(MAX_PREFIXES), "What is announced while this node serves.", live),
  selfCheck: doc(
    z
      .strictObject({
        kind: doc(
          z.enum(["dns", "http", "tcp"]).optional(),
          "By default what the socket speaks: `dns` of `dns.listen`, else `http` or `tcp` of the balancer's first listener.",
          live,
        ),
        listen: doc(
          hostPort().optional(),
          "The socket that is asked: best the announced address itself. By default the first one of this node's own.",
          live,
        ),
        path: doc(
          text("a path or a name").optional(),
          "Of `http`: the path, by default `/`; any status below 500 is good. Of `dns`: the name whose SOA is asked for, by default the first zone's.",
          live,
        ),
        interval: doc(durationMs("100ms", "10s").prefault("500ms"), "From one check to the next.", live),
        timeout: doc(durationMs("50ms", "10s").prefault("1s"), "One that takes longer has failed.", live),
        down: doc(
          durationMs("500ms", "1m").prefault("3s"),
          "It fails for so long: everything is withdrawn at once.",
          live,
        ),
        up: doc(durationMs("0s", "10m").prefault("1s"), "It works for so long before anything is announced.", live),
      })
      .prefault({}),
    "Through the real socket: what must work before anything is announced, and while it is.",
    live,
  ),
  drain: doc(
    z
      .strictObject({
        prepend: doc(integer(0, 16).default(3), "Our own AS so many times more while it drains.", live),
        wait: doc(
          durationMs("2s", "1h").prefault("5s"),
          "From the worse route, with GRACEFUL_SHUTDOWN (RFC 8326), to none. Other nodes hear of it meanwhile.",
          live,
        ),
      })
      .prefault({}),
    "A planned withdrawal first makes the route worse, so that routers have another before it goes.",
    live,
  ),
  holdDown: doc(
    z
      .strictObject({
        base: doc(
          durationMs("0s", "1h").prefault("10s"),
          "After the first withdrawal; each further one doubles it.",
          live,
        ),
        halfLife: doc(durationMs("1s", "1d").prefault("15m"), "In which half of the penalty is forgotten.", live),
        cap: doc(durationMs("0s", "1d").prefault("1h"), "It is never held for longer.", live),
      })
      .prefault({}),
    "After a withdrawal that nobody planned, nothing is announced for so long (after RFC 2439).",
    live,
  ),
});
export type AnycastConfig = z.output<typeof anycastSchema>;
