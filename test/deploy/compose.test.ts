/** docker-compose.yml against the Dockerfile, the setup and the page of the stage that drills go by. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import test from "node:test";
import { parse } from "yaml";
import {
  clientOf,
  clientPlaces,
  DNS_NODES,
  PLACES,
  routerOf,
  servicesOf,
  stageRegions,
} from "#drill/stage/compose-layout.ts";

type Service = {
  readonly image: string;
  readonly build?: { readonly target: string; readonly args: Readonly<Record<string, string>> };
  readonly cap_drop?: readonly string[];
  readonly cap_add?: readonly string[];
  readonly privileged?: boolean;
  readonly network_mode?: string;
  readonly networks?: Readonly<Record<string, { readonly ipv4_address: string }>>;
  readonly volumes?: readonly string[];
  readonly profiles?: readonly string[];
};
const root = new URL("../../", import.meta.url);
const read = (path: string): string => readFileSync(new URL(path, root), "utf8");
/** As compose reads it, with the defaults of its variables. */
const text = read("docker-compose.yml").replace(/\$\{[A-Z_]+:-([^}]*)\}/g, "$1");
const { services, networks, volumes } = parse(text, { merge: true }) as {
  readonly services: Readonly<Record<string, Service>>;
  readonly networks: Readonly<
    Record<string, { readonly internal?: boolean; readonly ipam: { config: { subnet: string }[] } }>
  >;
  readonly volumes: Readonly<Record<string, null>>;
};
const NET = "10.66";
const addressOf = (service: string, network: string): string | undefined =>
  services[service]?.networks?.[network]?.ipv4_address;

test("docker-compose.yml gives every service of the stage, at the addresses that drills go by", () => {
  const stage = { net: NET, vip: "203.0.113.1", capacityRps: undefined };
  for (const place of PLACES) {
    for (const service of servicesOf(place.region)) assert.ok(services[service], service);
    assert.equal(services[`lb-${place.region}`]!.network_mode, `service:host-${place.region}`);
    assert.equal(services[`exabgp-${place.region}`]!.network_mode, `service:host-${place.region}`);
    const region = stageRegions(stage).find(({ id }) => id === place.region)!;
    assert.equal(addressOf(`host-${place.region}`, place.network), region.addresses[0]);
    assert.ok(addressOf(routerOf(place), "backbone"));
    const client = clientPlaces(stage).find(({ continent }) => continent === place.continent)!;
    assert.equal(addressOf(`resolver-${place.network}`, place.network), client.resolvers[0]!.address);
    assert.ok(addressOf(clientOf(place.continent), place.network));
  }
  for (const { name, network, dns, api } of DNS_NODES) {
    assert.equal(addressOf(name, network), `${NET}.${dns}`);
    assert.equal(addressOf(name, "control"), `${NET}.${api}`);
  }
});

test("docker-compose.yml gives each address once, inside of its network, and not to the bridge", () => {
  const given = Object.entries(services).flatMap(([service, { networks: all = {} }]) =>
    Object.entries(all).map(([network, { ipv4_address }]) => ({ service, network, address: ipv4_address })),
  );
  assert.equal(new Set(given.map(({ address }) => address)).size, given.length);
  for (const { service, network, address } of given) {
    const subnet = networks[network]!.ipam.config[0]!.subnet;
    assert.equal(address.split(".").slice(0, 3).join("."), subnet.split(".").slice(0, 3).join("."), service);
    assert.notEqual(address.split(".")[3], "1", `${service} has the gateway's address`);
  }
});

test("docker-compose.yml takes all capabilities away, and gives back those that routers and anycast addresses need", () => {
  const may: Readonly<Record<string, readonly string[]>> = {
    router: ["NET_ADMIN", "NET_RAW", "NET_BIND_SERVICE", "SETUID", "SETGID"],
    exabgp: ["NET_ADMIN", "SETUID", "SETGID"],
  };
  for (const [name, service] of Object.entries(services)) {
    if (name === "grafana") continue;
    assert.deepEqual(service.cap_drop, ["ALL"], name);
    assert.deepEqual(service.cap_add ?? [], may[name.split("-")[0]!] ?? [], name);
    assert.equal(service.privileged, undefined, name);
  }
});

test("docker-compose.yml builds every image but Grafana's from one base, by a target of the Dockerfile", () => {
  const targets = [...read("Dockerfile").matchAll(/^FROM .* AS ([a-z]+)$/gm)].map(([, target]) => target);
  for (const [name, { image, build }] of Object.entries(services)) {
    if (name === "grafana") continue;
    const builder = Object.values(services).find((each) => each.image === image && each.build)?.build;
    assert.ok(builder, `nothing builds ${image} of ${name}`);
    assert.equal(image, `rhumb-stage/${builder.target}`);
    assert.ok(targets.includes(builder.target), builder.target);
    if (build) assert.ok(build.args["BASE"], name);
  }
  const froms = [...read("Dockerfile").matchAll(/^FROM (\S+)/gm)].map(([, from]) => from!);
  for (const from of froms) assert.ok(from.endsWith("{BASE}") || targets.includes(from), from);
});

test("the setup knows every word that files of the stage have replaced", () => {
  const setup = read("deploy/compose/setup.sh");
  const folder = new URL("deploy/compose/files/", root);
  const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  for (const { parentPath, name } of files)
    for (const [, word] of readFileSync(`${parentPath}/${name}`, "utf8").matchAll(/@([A-Z_]+)@/g))
      assert.match(setup, new RegExp(`@${word}@|"${word}=`), `${name}: @${word}@`);
});

test("only what writes mounts the stage's volume writable, and every volume is declared", () => {
  for (const [name, service] of Object.entries(services))
    for (const volume of service.volumes ?? []) {
      const [source = "", , mode] = volume.split(":");
      if (source === "stage") assert.equal(mode !== "ro", /^(setup|ns|lb)/.test(name), name);
      if (!source.startsWith("./")) assert.ok(source in volumes, `${name}: ${source}`);
    }
});
