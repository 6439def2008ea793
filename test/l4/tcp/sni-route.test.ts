import assert from "node:assert/strict";
import test from "node:test";
import { createSniRouter } from "#l4/tcp/sni-route.ts";

const ROUTES = [
  { names: ["www.example", "api.example"], alpn: [], pool: 1 },
  { names: ["*.example"], alpn: ["h2"], pool: 2 },
  { names: ["mail.example"], alpn: ["h2", "imap"], pool: 3 },
  { names: ["*.deep.example", "*.other"], alpn: [], pool: 4 },
  { names: ["*"], alpn: ["acme-tls/1"], pool: 5 },
  { names: ["www.example"], alpn: [], pool: 6 },
];
const CASES: { name: string | undefined; alpn?: string[]; pool: number | undefined }[] = [
  { name: "www.example", pool: 1 },
  { name: "www.example", alpn: ["h2"], pool: 1 },
  { name: "api.example", pool: 1 },
  { name: "mail.example", alpn: ["http/1.1", "h2"], pool: 2 },
  { name: "mail.example", alpn: ["imap"], pool: 3 },
  { name: "mail.example", pool: undefined },
  { name: "a.deep.example", pool: 4 },
  { name: "a.b.deep.example", pool: 4 },
  { name: "a.b.deep.example", alpn: ["h2"], pool: 2 },
  { name: "deep.example", pool: undefined },
  { name: "other", pool: undefined },
  { name: "xdeep.example", pool: undefined },
  { name: "anything", alpn: ["acme-tls/1"], pool: 5 },
  { name: "anything", pool: undefined },
  { name: undefined, alpn: ["acme-tls/1"], pool: undefined },
];
for (const { name, alpn = [], pool } of CASES)
  test(`createSniRouter() sends ${name ?? "no name"} with [${alpn}] to ${pool ?? "nobody"}`, () =>
    assert.equal(createSniRouter(ROUTES)({ serverName: name, alpn }), pool));
