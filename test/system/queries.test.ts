/** The query log, shares and classes of a node that people ask over UDP and TCP. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { QueryView, ServiceClassesView, ServiceView } from "#api/views.ts";
import { parseCidr } from "#base/ip.ts";
import { askDns } from "#cli/dns-client.ts";
import { parseName } from "#dns/wire/name.ts";
import { TYPE } from "#dns/wire/types.ts";
import { rhumb } from "../cli/rhumb.ts";
import { type DemoWorld, startDemoWorld } from "./running.ts";

type Asked = { readonly name: string; readonly type: number; readonly from: string; readonly isTcp: boolean };

describe("a node whose query log is on", { timeout: 60_000 }, () => {
  let world: DemoWorld;
  const cleanups: (() => unknown)[] = [];
  const context = { after: (cleanup: () => unknown) => void cleanups.push(cleanup) };
  before(async () => {
    world = await startDemoWorld(context);
  });
  after(async () => {
    for (const cleanup of cleanups.reverse()) await cleanup();
  });

  const ask = ({ name, type, from, isTcp }: Asked) =>
    askDns({
      address: "127.0.0.1",
      port: world.dnsPort,
      name: parseName(name) as Uint8Array,
      type,
      subnet: parseCidr(from),
      isTcp,
      timeoutMs: 5_000,
    });
  const command = async (...words: string[]): Promise<string> => {
    const { code, out, err } = await rhumb(words, { cwd: world.folder, env: { RHUMB_API: world.apiUrl } });
    assert.equal(code, 0, `rhumb ${words.join(" ")}: ${out}${err}`);
    return out;
  };
  const queries = async (...words: string[]): Promise<QueryView[]> =>
    JSON.parse(await command("queries", ...words, "--json")).queries;

  test("rhumb queries shows who asked for what, over UDP and TCP, with scope and region", async () => {
    await ask({ name: "www.demo.example", type: TYPE.A, from: "198.51.100.0/24", isTcp: false });
    await ask({ name: "WWW.demo.example", type: TYPE.A, from: "203.0.113.0/24", isTcp: true });
    await ask({ name: "nothing.demo.example", type: TYPE.AAAA, from: "203.0.113.0/24", isTcp: false });
    const [first, second] = await queries("--name", "www.demo.*");
    const { atMs, octets, ...udp } = first!;
    assert.ok(Math.abs(Date.now() - atMs) < 60_000 && octets > 60, `${atMs} ${octets}`);
    assert.deepEqual(
      { ...udp, id: undefined },
      {
        id: undefined,
        name: "www.demo.example.",
        type: "A",
        class: "IN",
        rcode: "NOERROR",
        flags: ["aa"],
        transport: "udp",
        client: "127.0.0.0/24",
        ecs: { network: "198.51.100.0/24", scopeBits: 24 },
        addresses: ["127.0.12.1"],
        regions: ["eu-west"],
        isCut: false,
      },
    );
    const { name, transport, ecs, addresses, regions } = second!;
    assert.deepEqual([name, transport, regions, addresses], ["WWW.demo.example.", "tcp", ["ap-south"], ["127.0.13.1"]]);
    assert.deepEqual(ecs, { network: "203.0.113.0/24", scopeBits: 24 });
    const [denied] = await queries("--rcode", "NXDOMAIN");
    assert.deepEqual([denied!.name, denied!.type, denied!.addresses], ["nothing.demo.example.", "AAAA", []]);
    assert.match(await command("queries"), /tcp {2}WWW\.demo\.example\. A {2}NOERROR {2}ap-south 127\.0\.13\.1/);
  });

  test("status, services, classes and metrics say how answers are spread", async () => {
    for (let time = 0; time < 2; time++)
      await ask({ name: "www.demo.example", type: TYPE.A, from: "198.51.100.0/24", isTcp: false });
    const services = (await world.api("GET", "/services")).json<ServiceView[]>();
    const shares = services
      .find(({ name }) => name === "www")!
      .regions.map(({ id, sharePercent }) => [id, sharePercent]);
    assert.deepEqual(shares, [
      ["us-east", 0],
      ["eu-west", 75],
      ["ap-south", 25],
    ]);
    assert.match(await command("status"), /^www +\S*www\.demo\.example\.\S* .*eu-west 75\.0%, ap-south 25\.0%$/m);
    const classes = JSON.parse(await command("classes", "www", "--json")) as ServiceClassesView;
    assert.deepEqual([classes.answers, classes.classes[0]!.answers], [4, 3]);
    assert.deepEqual(classes.classes[0]!.regions, [{ id: "eu-west", answers: 3 }]);
    assert.match(classes.classes[0]!.label, /EU/);
    const { text } = await world.api("GET", "/metrics");
    assert.match(text, /^rhumb_dns_steered_answers_total\{service="www",region="eu-west"\} 3$/m);
    assert.match(text, /^rhumb_dns_query_samples_total\{result="lost"\} 0$/m);
  });
});
