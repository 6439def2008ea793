/** Route 53 and gdnsd: routing policies, checks, odd names, and what cannot be taken over. */
import assert from "node:assert/strict";
import test from "node:test";
import { parseJsonLines } from "#config/import/json-lines.ts";
import { assertAccepted, fileText, importText, noteTexts, yamlOf } from "./load-sample.ts";

type Set = Readonly<Record<string, unknown>>;
const record = (name: string, type: string, values: readonly string[], more: Set = {}): Set => ({
  Name: name,
  Type: type,
  TTL: 60,
  ResourceRecords: values.map((Value) => ({ Value })),
  ...more,
});
const importSets = (sets: readonly Set[], extra: readonly unknown[] = []) =>
  importText(
    "route53",
    JSON.stringify({ ResourceRecordSets: [record("example.com.", "SOA", ["a. b. 1 2 3 4 5"]), ...sets] }, null, 1),
    {
      extra: extra.map((value, index) => ({ file: `extra${index}`, text: JSON.stringify(value) })),
    },
  );
const www = (id: string, address: string, more: Set) =>
  record("www.example.com.", "A", [address], { SetIdentifier: id, ...more });

for (const { name, sets, service } of [
  {
    name: "weighted 90/10",
    sets: [www("a", "192.0.2.1", { Weight: 90 }), www("b", "192.0.2.2", { Weight: 10 })],
    service: { regions: { "www-a": { weight: 90 }, "www-b": { weight: 10 } }, steer: "weighted" },
  },
  {
    name: "weights of 0 alone",
    sets: [www("a", "192.0.2.1", { Weight: 0 }), www("b", "192.0.2.2", { Weight: 0 })],
    service: { regions: { "www-a": { weight: 1 }, "www-b": { weight: 1 } }, steer: "weighted" },
  },
  {
    name: "failover, whatever the order",
    sets: [www("b", "192.0.2.2", { Failover: "SECONDARY" }), www("a", "192.0.2.1", { Failover: "PRIMARY" })],
    service: { regions: ["www-a", "www-b"], steer: "failover" },
  },
  {
    name: "latency",
    sets: [www("a", "192.0.2.1", { Region: "eu-west-1" }), www("b", "192.0.2.2", { Region: "sa-east-1" })],
    service: { regions: ["eu-west-1", "sa-east-1"], steer: "latency" },
  },
  {
    name: "geolocation with its default first",
    sets: [
      www("as", "192.0.2.1", { GeoLocation: { ContinentCode: "AS" } }),
      www("all", "192.0.2.2", { GeoLocation: { CountryCode: "*" } }),
    ],
    service: { regions: ["www-all", "www-as"], steer: ["healthy", "geo", { first: 1 }] },
  },
  {
    name: "multivalue",
    sets: [www("a", "192.0.2.1", { MultiValueAnswer: true }), www("b", "192.0.2.2", { MultiValueAnswer: true })],
    service: { regions: ["www-a", "www-b"], steer: "multivalue" },
  },
  {
    name: "geoproximity without bias",
    sets: [
      www("a", "192.0.2.1", { GeoProximityLocation: { AWSRegion: "eu-west-1" } }),
      www("b", "192.0.2.2", { GeoProximityLocation: { AWSRegion: "us-east-1", Bias: 0 } }),
    ],
    service: { regions: ["www-a", "www-b"], steer: ["healthy", "nearest", { first: 1 }] },
  },
] as const) {
  test(`importRoute53() takes over ${name}`, () => {
    const imported = importSets(sets);
    assertAccepted(imported);
    assert.deepEqual(yamlOf(imported, "zones/services.yaml")["www"], service);
    assert.match(fileText(imported, "zones/example.com.zone"), /^www 60 STEER www$/m);
  });
}

test("importRoute53() gives a country's region to this country alone, and a continent's to the continent", () => {
  const imported = importSets([
    www("de", "192.0.2.1", { GeoLocation: { CountryCode: "DE" } }),
    www("eu", "192.0.2.2", { GeoLocation: { ContinentCode: "EU" } }),
  ]);
  const regions = yamlOf(imported, "geo-data/regions.yaml");
  assert.deepEqual([regions["www-de"]?.["country"], regions["www-de"]?.["continent"]], ["DE", undefined]);
  assert.deepEqual([regions["www-eu"]?.["country"], regions["www-eu"]?.["continent"]], [undefined, "EU"]);
  assert.match(noteTexts(imported).join("\n"), /Clients of other places get the first region/);
});

test("importRoute53() steers by one family where not all records have both", () => {
  const imported = importSets([
    www("a", "192.0.2.1", { Weight: 1 }),
    www("b", "192.0.2.2", { Weight: 1 }),
    record("www.example.com.", "AAAA", ["2001:db8::1"], { SetIdentifier: "a", Weight: 1 }),
  ]);
  assertAccepted(imported);
  assert.deepEqual(
    Object.values(yamlOf(imported, "geo-data/regions.yaml")).map(({ v6 }) => v6),
    [undefined, undefined],
  );
  assert.match(noteTexts(imported).join("\n"), /steered by IPv4 alone/);
});

test("importRoute53() writes names and texts as master files have them", () => {
  const zone = fileText(
    importSets([
      record("\\052.example.com.", "A", ["192.0.2.1"]),
      record("a.example.com.", "TXT", ['"x\\042y; z"']),
      record("b.example.com.", "A", ["192.0.2.1\nevil 60 A 192.0.2.2"]),
    ]),
    "zones/example.com.zone",
  );
  assert.match(zone, /^\* 60 A 192\.0\.2\.1$/m);
  assert.match(zone, /^a 60 TXT "x\\034y; z"$/m);
  assert.doesNotMatch(zone, /evil/);
});

test("importRoute53() takes health checks of the API and of Terraform, and those that ask nothing it leaves out", () => {
  const imported = importSets(
    [
      www("a", "192.0.2.1", { Failover: "PRIMARY", HealthCheckId: "one" }),
      www("b", "192.0.2.2", { Failover: "SECONDARY", HealthCheckId: "two" }),
    ],
    [
      [
        {
          id: "one",
          fqdn: "www.example.com",
          port: 443,
          type: "HTTPS",
          resource_path: "/health",
          failure_threshold: 3,
          request_interval: 10,
        },
      ],
      { HealthChecks: [{ Id: "two", HealthCheckConfig: { Type: "CLOUDWATCH_METRIC" } }] },
    ],
  );
  assertAccepted(imported);
  assert.deepEqual(yamlOf(imported, "health/www-example-com-one.yaml"), {
    kind: "https",
    port: 443,
    path: "/health",
    host: "www.example.com",
    expect: { status: ["200-399"] },
    verify: false,
    interval: "10s",
    timeout: "6s",
    thresholds: { down: 3, up: 3, ok: 1 },
  });
  assert.equal(yamlOf(imported, "geo-data/regions.yaml")["www-b"]?.["check"], undefined);
  assert.match(noteTexts(imported).join("\n"), /CLOUDWATCH_METRIC/);
});

test("parseJsonLines() reads what JSON.parse() reads, with lines, and says where it ends", () => {
  const text = '{\n "a": [1, -2.5e3, true, null],\n "b": { "__proto__": "x\\u00e9" }\n}\n';
  const { value, lineOf } = parseJsonLines(text);
  assert.equal(JSON.stringify(value), JSON.stringify(JSON.parse(text)));
  assert.equal(lineOf((value as { b: object }).b), 3);
  for (const [bad, line] of [
    ["{", 1],
    ['{"a": 1,\n}', 2],
    ["[1 2]", 1],
    ['"a\n"', 1],
    ["1 1", 1],
    ["[".repeat(1_000), 1],
    ["nul", 1],
  ] as const) {
    const { fault, faultLine } = parseJsonLines(bad);
    assert.ok(fault !== undefined, bad);
    assert.equal(faultLine, line, bad);
  }
});

const gdnsd = (plugins: string, zone = "", more = "") =>
  importText("gdnsd", `plugins => { ${plugins} }\n${more}`, {
    extra: [{ file: "zones/example.com", text: `@ SOA ns1 h 1 2 3 4 5\n@ NS ns1\nns1 A 192.0.2.53\n${zone}\n` }],
  });

for (const { name, plugins, service, regions } of [
  {
    name: "simplefo",
    plugins: "simplefo => { www => { secondary => 192.0.2.2, primary => 192.0.2.1 } }",
    service: { regions: ["www-primary", "www-secondary"], steer: "failover" },
    regions: { "www-primary": ["192.0.2.1"], "www-secondary": ["192.0.2.2"] },
  },
  {
    name: "multifo",
    plugins: "multifo => { www => [ 192.0.2.1, 192.0.2.2 ] }",
    service: { regions: ["www-all"], steer: "failover" },
    regions: { "www-all": ["192.0.2.1", "192.0.2.2"] },
  },
  {
    name: "weighted",
    plugins: "weighted => { www => { a => [ 192.0.2.1, 45 ], b => [ 192.0.2.2, 15 ] } }",
    service: { regions: { "www-a": { weight: 45 }, "www-b": { weight: 15 } }, steer: "weighted" },
    regions: { "www-a": ["192.0.2.1"], "www-b": ["192.0.2.2"] },
  },
  {
    name: "weighted groups",
    plugins:
      "weighted => { www => { g => { a => [ 192.0.2.1, 2 ], b => [ 192.0.2.2, 3 ] }, h => { c = [ 192.0.2.3, 5 ] } } }",
    service: { regions: { "www-g": { weight: 5 }, "www-h": { weight: 5 } }, steer: "weighted" },
    regions: { "www-g": ["192.0.2.1", "192.0.2.2"], "www-h": ["192.0.2.3"] },
  },
  {
    name: "metafo",
    plugins:
      "metafo => { resources => { www => { datacenters => [ y, x ], dcmap => { x => 192.0.2.1, y => 192.0.2.2 } } } }",
    service: { regions: ["y", "x"], steer: "failover" },
    regions: { y: ["192.0.2.2"], x: ["192.0.2.1"] },
  },
] as const) {
  test(`importGdnsd() takes over ${name}`, () => {
    const imported = gdnsd(plugins, `www 300/60 DYNA ${name.split(" ")[0]}!www`);
    assertAccepted(imported);
    const { ttl, ...found } = yamlOf(imported, "zones/services.yaml")["www"]!;
    assert.deepEqual(found, service);
    assert.deepEqual(ttl, { min: "60s", max: "300s" });
    const made = yamlOf(imported, "geo-data/regions.yaml");
    assert.deepEqual(Object.fromEntries(Object.entries(made).map(([region, { v4 }]) => [region, v4])), regions);
  });
}

test("importGdnsd() makes a datacenter without coordinates nobody's nearest", () => {
  const imported = gdnsd(
    "geoip => { maps => { m => { datacenters => [a, b], auto_dc_coords => { a => [1, 2] } } }, resources => { www => { map => m, dcmap => { a => 192.0.2.1, b => 192.0.2.2 } } } }",
  );
  assertAccepted(imported);
  const regions = yamlOf(imported, "geo-data/regions.yaml");
  assert.deepEqual(
    [regions["a"]?.["at"], regions["b"]?.["at"]],
    [
      [1, 2],
      [-90, 0],
    ],
  );
  assert.deepEqual(yamlOf(imported, "zones/services.yaml")["www"]?.["steer"], ["healthy", "nearest", { first: 1 }]);
});

test("importGdnsd() steers names of zones, and leaves records that only look like it", () => {
  const zone = fileText(
    gdnsd(
      "static => { www = 192.0.2.1 }",
      'www 1h DYNA static!www ; c\n    DYNC static!none\nt TXT "DYNA static!www"\nz A 192.0.2.9\n@ MX 1 z.@Z',
    ),
    "zones/example.com.zone",
  );
  assert.match(zone, /^www 3600 STEER www$/m);
  assert.match(zone, /^t TXT "DYNA static!www"$/m);
  assert.doesNotMatch(zone, /DYNC/);
});

test("importGdnsd() ends where resources lead to each other", () => {
  const twice = "[ %multifo!a, %multifo!a, %multifo!b, %multifo!b ]";
  assert.deepEqual(importText("gdnsd", `plugins => { multifo => { a => ${twice}, b => ${twice} } }`).files, []);
  const chain = Array.from({ length: 2_000 }, (_, index) => `r${index} => %multifo!r${index + 1}`).join("\n");
  assert.ok(
    importText(
      "gdnsd",
      `plugins => { metafo => { resources => { x => { dcmap => { a => %multifo!r0 } } } }, multifo => { ${chain} } }`,
    ).notes.length > 0,
  );
});
