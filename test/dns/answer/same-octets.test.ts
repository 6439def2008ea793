/**
 * What is copied from a template is, octet for octet, what is compiled anew: over random zones and random questions.
 * And what both say agrees with a second, slow reading of RFC 1034 §4.3.2 that shares no code with the first.
 */
import assert from "node:assert/strict";
import test from "node:test";
import { createSeededRng } from "#base/rng.ts";
import { encodeQuery } from "#dns/wire/encode-query.ts";
import { typeNumber } from "#dns/wire/types.ts";
import { TRANSPORT } from "#state/respond.ts";
import { answerOf, nameOf, serverOf, zoneOf } from "./ask.ts";

const ZONES = 150;
const QUESTIONS = 120;
const LABELS = ["a", "b", "c", "*"];
const TYPES = ["A", "AAAA", "NS", "MX", "TXT", "CNAME", "DNAME", "DS", "SOA", "ANY", "TYPE65535"];

type Rng = () => number;
const pick = <T>(rng: Rng, from: readonly T[]): T => from[Math.floor(rng() * from.length)]!;
const randomName = (rng: Rng, deepest: number): string => {
  const depth = Math.floor(rng() * (deepest + 1));
  return [...Array.from({ length: depth }, () => pick(rng, LABELS)), "z", ""].join(".");
};

/** Random records, but CNAME and STEER alone at their names. */
function randomZone(rng: Rng): string {
  const lines = ["z. 300 SOA a.z. b.z. 1 2 3 4 60", "z. 300 NS a.z."];
  const kinds = new Map<string, string>([["z.", "data"]]);
  for (let count = 3 + Math.floor(rng() * 14); count > 0; count--) {
    const owner = randomName(rng, 4);
    const target = rng() < 0.15 ? "a.elsewhere." : randomName(rng, 3);
    const type = pick(rng, ["A", "A", "AAAA", "MX", "NS", "CNAME", "CNAME", "DNAME", "TXT", "STEER", "ALIAS", "DS"]);
    const kind =
      type === "CNAME"
        ? `cname ${count}`
        : type === "STEER"
          ? `steer ${count}`
          : type === "ALIAS"
            ? `alias ${count}`
            : "data";
    const known = kinds.get(owner);
    if (known !== undefined && (known !== kind || kind !== "data")) continue;
    if (type === "DNAME" && lines.some((line) => line.startsWith(`${owner} 60 DNAME`))) continue;
    kinds.set(owner, kind);
    const rdata: Record<string, string> = {
      A: `192.0.2.${count}`,
      AAAA: `2001:db8::${count}`,
      MX: `10 ${target}`,
      TXT: `"t${count}"`,
      STEER: pick(rng, ["both", "four", "two", "none", "sick", "lost"]),
      DS: `${count} 13 2 ${"ab".repeat(32)}`,
    };
    lines.push(`${owner} 60 ${type} ${rdata[type] ?? target}`);
  }
  return `${lines.join("\n")}\n`;
}

test("respond() gives the same octets from templates as compiled anew", () => {
  const rng = createSeededRng(20_261_121);
  const kinds = new Map<string, number>();
  for (let zone = 0; zone < ZONES; zone++) {
    const text = randomZone(rng);
    const image = zoneOf(text);
    const kept = serverOf([image]);
    const anew = serverOf([image], { keepsTemplates: false });
    for (let question = 0; question < QUESTIONS; question++) {
      const name = randomName(rng, 6);
      const type = pick(rng, TYPES);
      const edns = rng() < 0.5 ? {} : undefined;
      const query = encodeQuery(nameOf(name), typeNumber(type), { edns });
      if (rng() < 0.3) for (let at = 13; at < query.length - 4; at++) if (query[at] === 0x61) query[at] = 0x41; // 0x20
      const from = rng() < 0.2 ? {} : { transport: TRANSPORT.tcp };
      const first = kept.send(query, from);
      const again = kept.send(query, from);
      const slow = anew.send(query, from);
      const where = `zone ${zone}\n${text}\n${name} ${type}`;
      assert.deepEqual(first, slow, where);
      assert.deepEqual(again, slow, where);
      const answer = answerOf(slow);
      const key = `${answer.rcode} ${answer.aa} ${answer.answer.length > 0}`;
      kinds.set(key, (kinds.get(key) ?? 0) + 1);
    }
    assert.equal(kept.count("handler_faults") + anew.count("handler_faults"), 0, text);
  }
  for (const kind of [
    "NOERROR true true",
    "NOERROR true false",
    "NOERROR false false",
    "NXDOMAIN true false",
    "NXDOMAIN true true",
    "SERVFAIL false false",
  ]) {
    assert.ok((kinds.get(kind) ?? 0) > 5, `${kind} is among the answers: ${JSON.stringify([...kinds])}`);
  }
});

type Model = { readonly rcode: string; readonly aa: boolean; readonly last: string };

/** First name only: what kind of answer it is, by strings and by the book. */
function model(lines: readonly string[], qname: string, qtype: string): Model | undefined {
  const records = lines.map((line) => line.split(" ")).map(([owner, , type]) => ({ owner: owner!, type: type! }));
  const typesAt = (name: string) => records.filter(({ owner }) => owner === name).map(({ type }) => type);
  const exists = (name: string) => records.some(({ owner }) => owner === name || owner.endsWith(`.${name}`));
  const parts = qname.split(".");
  const ancestors = parts
    .slice(0, -1)
    .map((_, index) => parts.slice(index).join("."))
    .reverse(); // "z." first
  let encloser = "z.";
  for (const name of ancestors) {
    if (!exists(name)) break;
    encloser = name;
    const types = typesAt(name);
    if (name !== "z." && types.includes("NS") && !(name === qname && qtype === "DS")) {
      return { rcode: "NOERROR", aa: false, last: "referral" };
    }
    if (name !== qname && types.includes("DNAME")) return undefined;
  }
  const node = encloser === qname ? qname : exists(`*.${encloser}`) ? `*.${encloser}` : undefined;
  if (node === undefined) return { rcode: "NXDOMAIN", aa: true, last: "nothing" };
  const types = typesAt(node);
  if (types.some((type) => ["CNAME", "STEER", "ALIAS"].includes(type)) && qtype !== "CNAME") return undefined;
  const found = qtype === "ANY" ? types.length > 0 : types.includes(qtype);
  return { rcode: "NOERROR", aa: true, last: found ? "data" : "nothing" };
}

test("respond() agrees with a model of RFC 1034 §4.3.2 made of strings", () => {
  const rng = createSeededRng(7);
  let compared = 0;
  for (let zone = 0; zone < ZONES; zone++) {
    const text = randomZone(rng);
    const server = serverOf([text]);
    for (let question = 0; question < QUESTIONS; question++) {
      const name = randomName(rng, 5);
      const type = pick(rng, TYPES);
      const expected = model(text.trimEnd().split("\n"), name, type);
      if (!expected) continue;
      compared++;
      const { rcode, aa, answer, authority } = server.ask(name, type, {}, { transport: TRANSPORT.tcp });
      const last =
        answer.length > 0 ? "data" : authority.some((record) => / NS /.test(record)) ? "referral" : "nothing";
      assert.deepEqual({ rcode, aa, last }, expected, `${text}\n${name} ${type}`);
    }
  }
  assert.ok(compared > 5_000, `${compared} were compared`);
});
