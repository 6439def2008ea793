/**
 * `rules:` of HTTP listeners: what a request must look like, who may send it, and what is done with it.
 *
 * Reader:  `config/compile-http.ts`, which turns it into `RuleSpec`. The engines never see it.
 * @module
 */
import { z } from "zod";
import {
  doc,
  durationMs,
  flag,
  integer,
  name,
  network,
  percent,
  refuse,
  secret,
  sizeOctets,
  text,
} from "#base/field.ts";
import {
  cookieName,
  fieldName,
  fieldValue,
  hostPattern,
  method,
  ownField,
  pattern,
  requestPath,
  template,
} from "#l7/fields.ts";
import { RETRY_CONDITIONS } from "#state/http.ts";

const live = { reload: "live" } as const;
const oneOrMore = <T extends z.ZodType>(schema: T, expects: string) =>
  z.union([schema, z.array(schema).min(1).max(1_024)]).meta({ expects });
const poolName = () => name("the name of a pool");

// ── match ────────────────────────────────────────────────────────────────────────────────────────────────────────

const pathMatch = z.union([
  requestPath,
  z
    .strictObject({
      exact: doc(requestPath.optional(), "This path alone.", live),
      prefix: doc(requestPath.optional(), "Paths that begin with this text: `/api` matches `/apix` as well.", live),
      segment: doc(requestPath.optional(), "This path and all below it: `/api` matches `/api/x`, not `/apix`.", live),
      regex: doc(pattern.optional(), "A regular expression; `$1` of it may be used in rewrites and fields.", live),
    })
    .superRefine((one, context) => {
      if (Object.keys(one).length !== 1)
        refuse(context, "Must be one kind of match", "Write one of `exact`, `prefix`, `segment`, `regex`");
    }),
]);

const VALUE_KINDS = ["exact", "prefix", "suffix", "contains", "regex"] as const;
const valueMatch = z
  .union([
    z.string(),
    flag(),
    z
      .strictObject({
        exact: doc(z.string().optional(), "The value is this text.", live),
        prefix: doc(text().optional(), "It begins with this.", live),
        suffix: doc(text().optional(), "It ends with this.", live),
        contains: doc(text().optional(), "It holds this.", live),
        regex: doc(pattern.optional(), "A regular expression finds something in it.", live),
        not: doc(flag().default(false), "Turns it round: matches also where there is no such value.", live),
      })
      .superRefine((one, context) => {
        if (VALUE_KINDS.filter((kind) => one[kind] !== undefined).length !== 1)
          refuse(
            context,
            "Must be one kind of match",
            `Write one of ${VALUE_KINDS.map((kind) => `\`${kind}\``).join(", ")}`,
          );
      }),
  ])
  .meta({ expects: "a value, true (is there), false (is not there), or a map" });
const values = (key: z.ZodType<string, string>, says: string) =>
  doc(
    z.record(key, valueMatch).default({}),
    `${says}: a value, \`true\` (is there), \`false\` (is not), or a map.`,
    live,
  );

const ALGORITHMS = ["HS256", "RS256", "PS256", "ES256", "EdDSA"] as const;
const jwtSchema = z.strictObject({
  algorithms: doc(
    z.array(z.enum(ALGORITHMS)).min(1).max(ALGORITHMS.length),
    "Signatures that are taken. HS256 cannot stand beside the others: a public key would be its secret.",
    live,
  ).superRefine((list, context) => {
    if (list.includes("HS256") && list.length > 1)
      refuse(context, "HS256 stands beside signatures of public keys", "Write HS256 alone, or leave it out");
  }),
  keys: doc(secret(), "Public keys as PEM or as a JWKS; of HS256 the shared secret.", live),
  issuer: doc(text().optional(), "What `iss` must be.", live),
  audience: doc(text().optional(), "What `aud` must be, or hold.", live),
  from: doc(
    z
      .union([
        z.strictObject({ header: doc(fieldName, "Name of the field; `Bearer` before the token is skipped.", live) }),
        z.strictObject({ cookie: doc(cookieName, "Name of the cookie.", live) }),
      ])
      .default({ header: "authorization" })
      .meta({ expects: "a map with `header` or `cookie`" }),
    "Where the token stands.",
    live,
  ),
  leeway: doc(durationMs("0s", "10m").prefault("30s"), "By how much clocks may differ.", live),
});
export type JwtConfig = z.output<typeof jwtSchema>;

const matchSchema = z.strictObject({
  host: doc(
    oneOrMore(hostPattern, "a host name, or a list of them").optional(),
    "Any of these; `*.example.com` stands for all below it.",
    live,
  ),
  path: doc(
    oneOrMore(pathMatch, "a path, a map, or a list of them").optional(),
    "Any of these. Text that ends in `/` means all below it as well (and itself without the `/`); other text this path alone.",
    live,
  ),
  method: doc(oneOrMore(method, "a method, or a list of them").optional(), "Any of these.", live),
  header: values(fieldName, "Fields of the request"),
  cookie: values(cookieName, "Cookies"),
  query: values(text("a name"), "Parameters of the query"),
  source: doc(
    oneOrMore(network(), "a network, or a list of them").optional(),
    "The client is in any of these networks.",
    live,
  ),
  claim: values(text("a name"), "Claims of a verified token; a name may be a path such as `realm.roles`"),
  jwt: doc(jwtSchema.optional(), "How the token of `claim` is verified. Default: as the rule's `jwt` says.", live),
  body: doc(
    z
      .strictObject({
        max: doc(sizeOctets("1B", "1MiB").prefault("64KiB"), "A longer body does not match.", live),
        contains: doc(text().optional(), "The body holds this text.", live),
        json: doc(
          z
            .strictObject({
              path: doc(text("a path such as user.plan"), "Where the field stands, such as `user.plan`.", live),
              value: doc(z.union([z.string(), z.number(), flag()]), "Its value.", live),
            })
            .optional(),
          "A field of a JSON body.",
          live,
        ),
      })
      .superRefine((body, context) => {
        if ((body.contains === undefined) === (body.json === undefined))
          refuse(context, "Must be one kind of match", "Write `contains` or `json`");
      })
      .optional(),
    "The body is waited for, and looked into.",
    live,
  ),
});

// ── actions ──────────────────────────────────────────────────────────────────────────────────────────────────────

const weight = () => integer(0, 1_000_000);
const splitSchema = z.union([
  z.strictObject({
    parts: doc(z.record(poolName(), weight()), "Pools with their weights.", live),
    sticky: doc(
      z
        .union([
          z.enum(["none", "source"]),
          z.strictObject({
            cookie: doc(cookieName, "Name of the cookie.", live),
            ttl: doc(durationMs("1s", "30d").prefault("1h"), "How long a client keeps its part.", live),
          }),
        ])
        .default("none")
        .meta({ expects: "none, source, or a map with `cookie`" }),
      "`source`: by its address; or by a cookie of ours.",
      live,
    ),
  }),
  z.record(poolName(), weight()),
]);

const REDIRECT_STATUS = [301, 302, 303, 307, 308] as const;
const redirectUrl = z
  .string()
  .superRefine((value, context) => {
    if (!/^https?:\/\/[^/?#\s]+(\/[^?#\s]*)?$/.test(value) && !/^\/(?!\/)[^?#\s]*$/.test(value))
      refuse(
        context,
        `Must be where to go; is ${JSON.stringify(value)}`,
        "Write https://host, https://host/path, or /path; the query is kept",
      );
  })
  .meta({ expects: "a URL or a path" });
const redirectSchema = z.union([
  redirectUrl,
  z.strictObject({
    status: doc(
      z
        .union(REDIRECT_STATUS.map((one) => z.literal(one)))
        .default(308)
        .meta({ expects: `one of ${REDIRECT_STATUS.join(", ")}` }),
      "Status. 308 and 307 keep the method.",
      live,
    ),
    scheme: doc(z.enum(["http", "https"]).optional(), "Default: as it was asked for.", live),
    host: doc(
      text("a host name")
        .regex(/^[a-zA-Z0-9.{}:_-]+$/)
        .optional(),
      "Default: as it was asked for.",
      live,
    ),
    port: doc(integer(1, 65_535).optional(), "Default: that of the scheme.", live),
    path: doc(template.optional(), "Default: as it was asked for. May hold `$1`.", live),
    query: doc(flag().default(true), "Whether the query is kept.", live),
  }),
]);

const respondSchema = z.strictObject({
  status: doc(integer(200, 599).default(200), "Status.", live),
  contentType: doc(fieldValue.default("text/plain; charset=utf-8"), "Media type.", live),
  body: doc(z.string().max(65_536).default(""), "Text.", live),
  headers: doc(z.record(ownField, fieldValue).default({}), "More fields.", live),
});

const rewriteSchema = z.union([
  z.strictObject({
    prefix: doc(requestPath, "What the path begins with.", live),
    to: doc(template, "What it is to begin with.", live),
  }),
  z.strictObject({
    regex: doc(pattern, "What is looked for in the path.", live),
    to: doc(template, "What it becomes; `$1` is the first group.", live),
  }),
  z.strictObject({ path: doc(template, "The whole path.", live) }),
]);

const editsSchema = z.strictObject({
  set: doc(z.record(ownField, template).default({}), "One field of this name, with this value.", live),
  add: doc(z.record(ownField, template).default({}), "One more field.", live),
  remove: doc(z.array(ownField).max(64).default([]), "All fields of this name.", live),
});

// ── guards ───────────────────────────────────────────────────────────────────────────────────────────────────────

const accessEntry = z.strictObject({
  network: doc(network(), "Client network. The first entry that matches decides; no match: allowed.", live),
  action: doc(z.enum(["allow", "deny"]), "`deny` answers 403.", live),
});

const wafSchema = z.strictObject({
  methods: doc(z.array(method).max(64).default([]), "Methods that are taken. Empty: all.", live),
  traversal: doc(flag().default(true), "Deny paths that climb (`..`, also encoded) or hold a backslash or NUL.", live),
  maxTarget: doc(sizeOctets("1B", "64KiB").prefault("8KiB"), "A longer path and query is denied.", live),
  maxHead: doc(sizeOctets("1B", "1MiB").prefault("32KiB"), "More octets of fields are denied.", live),
  denyTargets: doc(z.array(pattern).max(256).default([]), "Regular expressions over the decoded path and query.", live),
  denyHeaders: doc(z.record(fieldName, pattern).default({}), "Regular expressions over fields.", live),
  enforced: doc(flag().default(true), "false: what would be denied is logged alone.", live),
});

const rateLimitSchema = z.strictObject({
  by: doc(
    z
      .union([
        z.enum(["address"]),
        z.strictObject({ header: doc(fieldName, "Name of the field.", live) }),
        z.strictObject({ cookie: doc(cookieName, "Name of the cookie.", live) }),
      ])
      .default("address")
      .meta({ expects: "address, or a map with `header` or `cookie`" }),
    "Whose requests are counted together. `address`: of one client (IPv6: /64). Who lacks the field or cookie counts by address.",
    live,
  ),
  rate: doc(
    z.number().min(0.001).max(1_000_000).meta({ expects: "a number from 0.001 to 1000000" }),
    "Requests per second.",
    {
      ...live,
      unit: "requests/s",
    },
  ),
  burst: doc(
    integer(1, 1_000_000).optional(),
    "Requests at once, after a while without. Default: a second's worth.",
    live,
  ),
});

const realm = z
  .string()
  .regex(/^[\x20\x21\x23-\x5b\x5d-\x7e]{1,128}$/, { error: "Must be visible ASCII without quotes and backslashes" })
  .meta({ expects: "text without quotes" });
const basicAuthSchema = z.strictObject({
  realm: doc(realm.default("rhumb"), "What the browser shows.", live),
  users: doc(secret(), "Lines `name:hash`, as `rhumb config hash-password NAME` prints them.", live),
});

const forwardAuthSchema = z.strictObject({
  pool: doc(poolName(), "Who is asked.", live),
  path: doc(requestPath.default("/"), "Path of the question, which is a GET.", live),
  timeout: doc(durationMs("10ms", "1m").prefault("5s"), "No answer in this time: 503.", live),
  copyToBackend: doc(
    z.array(ownField).max(64).default([]),
    "Fields of a 2xx answer that go to the backend, instead of the client's own.",
    live,
  ),
  copyFromRequest: doc(
    z.array(ownField).max(64).default(["authorization", "cookie"]),
    "Fields of the request that are shown with the question.",
    live,
  ),
});

// ── the rest of a rule ───────────────────────────────────────────────────────────────────────────────────────────

const compressionSchema = z.strictObject({
  algorithms: doc(
    z
      .array(z.enum(["gzip", "br", "zstd"]))
      .min(1)
      .max(3)
      .default(["zstd", "br", "gzip"]),
    "Best first.",
    live,
  ),
  min: doc(sizeOctets("0B", "1MiB").prefault("1KiB"), "Shorter responses stay as they are.", live),
  types: doc(
    z
      .array(text("a media type"))
      .min(1)
      .max(64)
      .default([
        "text/*",
        "application/json",
        "application/javascript",
        "application/xml",
        "application/problem+json",
        "application/manifest+json",
        "image/svg+xml",
      ]),
    "Media types that are compressed.",
    live,
  ),
  level: doc(integer(1, 22).optional(), "Level. Default: that of each algorithm.", live),
});
const cacheSchema = z.strictObject({
  store: doc(name("the name of a store").default("default"), "Rules that name the same one share it.", live),
  max: doc(sizeOctets("64KiB", "16GiB").prefault("64MiB"), "Room of the store, in each worker.", live),
  maxObject: doc(sizeOctets("1KiB", "1GiB").prefault("1MiB"), "A larger response is not kept.", live),
  ttl: doc(
    durationMs("0s", "30d").prefault("0s"),
    "Of responses that do not say. 0s: heuristics of RFC 9111 where it allows them.",
    live,
  ),
  staleWhileRevalidate: doc(
    durationMs("0s", "30d").prefault("0s"),
    "How long an old response may be sent while a new one is fetched.",
    live,
  ),
  staleIfError: doc(
    durationMs("0s", "30d").prefault("0s"),
    "How long an old response may be sent while the backend fails.",
    live,
  ),
  status: doc(flag().default(true), "Add `Cache-Status` (RFC 9211).", live),
});
const timeoutsSchema = z.strictObject({
  total: doc(
    durationMs("0s", "24h").prefault("60s"),
    "Until the head of the response, tries and waiting included; then 504. 0s: no limit.",
    live,
  ),
  try: doc(durationMs("0s", "24h").prefault("0s"), "Of one try. 0s: no limit.", live),
  idle: doc(durationMs("0s", "24h").prefault("60s"), "Nothing of the response's body for so long. 0s: no limit.", live),
});
const retrySchema = z.strictObject({
  on: doc(
    z.array(z.enum(RETRY_CONDITIONS)).max(RETRY_CONDITIONS.length).default(["connect-failure", "reset"]),
    "What is tried again, within the pool's `retry`.",
    live,
  ),
  nonIdempotent: doc(flag().default(false), "Send POST and PATCH again as well.", live),
  buffer: doc(sizeOctets("0B", "16MiB").prefault("64KiB"), "A longer request body is sent once.", live),
  hedge: doc(
    durationMs("0s", "1m").prefault("0s"),
    "Begin another try beside the first after so long. 0s: never.",
    live,
  ),
});
const onOff = <T extends z.ZodObject>(schema: T) =>
  z.union([flag(), schema]).meta({ expects: "true, false, or a map" });

/** What a rule may say beside what it matches and does; `http.defaults` says it for all of them. */
const commonSettings = {
  access: doc(z.array(accessEntry).max(4_096).optional(), "Who may ask; others get 403.", live),
  waf: doc(onOff(wafSchema).optional(), "A small set of filters: what they find gets 403.", live),
  rateLimit: doc(
    z
      .union([rateLimitSchema, z.array(rateLimitSchema).max(16)])
      .optional()
      .meta({ expects: "a map, or a list of them" }),
    "More requests get 429. Counted over all workers.",
    live,
  ),
  basicAuth: doc(basicAuthSchema.optional(), "Ask for name and password.", live),
  jwt: doc(jwtSchema.optional(), "Ask for a token (RFC 7519); without a good one: 401.", live),
  forwardAuth: doc(
    forwardAuthSchema.optional(),
    "Ask somebody else: 2xx goes on, any other answer goes to the client.",
    live,
  ),
  request: doc(
    editsSchema.optional(),
    "Fields of the request on its way to the backend. Values may hold `{client}`, `{host}`, `{path}`, `{request_id}`, `{sni}`, `{claim:NAME}`, `{cert_subject}`, `{cert_fingerprint}`, `$1`.",
    live,
  ),
  response: doc(editsSchema.optional(), "Fields of the response, likewise.", live),
  mirror: doc(
    z
      .strictObject({
        pool: doc(poolName(), "Who gets copies; what it answers is dropped.", live),
        percent: doc(percent(0, 100).prefault("100%"), "Share of the requests.", live),
        maxBody: doc(sizeOctets("0B", "64MiB").prefault("64KiB"), "Requests with longer bodies are not copied.", live),
      })
      .optional(),
    "Send copies of requests elsewhere.",
    live,
  ),
  timeouts: doc(timeoutsSchema.optional(), "Time limits of the backend.", live),
  retry: doc(retrySchema.optional(), "What happens when a backend fails.", live),
  compression: doc(onOff(compressionSchema).optional(), "Compress responses.", live),
  cache: doc(onOff(cacheSchema).optional(), "Keep responses (RFC 9111).", live),
  maxBody: doc(sizeOctets("0B", "1TiB").optional(), "A longer request body gets 413. Default: no limit.", live),
};

export const ruleDefaultsSchema = z.strictObject(commonSettings);
export type RuleDefaults = z.output<typeof ruleDefaultsSchema>;

/** What `true` stands for, and what holds where nothing is said. */
export const RULE_STANDARDS = {
  waf: wafSchema.parse({}),
  compression: compressionSchema.parse({}),
  cache: cacheSchema.parse({}),
  timeouts: timeoutsSchema.parse({}),
  retry: retrySchema.parse({}),
};

const ACTIONS = ["pool", "split", "redirect", "respond"] as const;
export const ruleSchema = z
  .strictObject({
    name: doc(name("a rule").optional(), "For logs and metrics. Default: `rules[0]` and so on.", live),
    priority: doc(
      integer(-1_000_000, 1_000_000).optional(),
      "Lowest first, then what is more specific, then the order of the file. Rules without one come after all that have one.",
      live,
    ),
    match: doc(matchSchema.prefault({}), "What a request must look like. Empty: all.", live),
    pool: doc(poolName().optional(), "Where it goes.", live),
    split: doc(splitSchema.optional(), "Shares of pools, `{ web: 95, canary: 5 }`; or a map with `parts`.", live),
    redirect: doc(redirectSchema.optional(), "Send the client elsewhere: a URL, a path, or a map.", live),
    respond: doc(respondSchema.optional(), "Answer by itself.", live),
    rewrite: doc(rewriteSchema.optional(), "Change the path that the backend gets.", live),
    ...commonSettings,
  })
  .superRefine((rule, context) => {
    const given = ACTIONS.filter((action) => rule[action] !== undefined);
    if (given.length !== 1)
      refuse(
        context,
        given.length === 0 ? "The rule does nothing" : `The rule does ${given.length} things: ${given.join(", ")}`,
        `Write one of ${ACTIONS.map((action) => `\`${action}\``).join(", ")}`,
      );
  });
export type RuleConfig = z.output<typeof ruleSchema>;
