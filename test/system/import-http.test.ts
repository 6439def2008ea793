/** An HTTP frontend of HAProxy, imported and served: requests go where they went there. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, request } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { mainFile, rhumb } from "../cli/rhumb.ts";
import { folderWith, freePort, startDaemon } from "./tools.ts";

async function startBackend(t: TestContext, name: string): Promise<number> {
  const server = createServer(({ headers }, response) => {
    response.writeHead(200, { server: "backend" });
    response.end(JSON.stringify({ name, client: headers["x-forwarded-for"], tier: headers["x-tier"] }));
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}

type Got = { readonly status: number; readonly headers: IncomingMessage["headers"]; readonly body: string };
function ask(port: number, path: string, headers: Record<string, string> = {}, method = "GET"): Promise<Got> {
  const { promise, resolve, reject } = Promise.withResolvers<Got>();
  request({ host: "127.0.0.1", port, path, headers, method })
    .on("error", reject)
    .on("response", (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (text: string) => {
        body += text;
      });
      response.on("end", () => resolve({ status: response.statusCode!, headers: response.headers, body }));
    })
    .end();
  return promise;
}

test("rules, fields, redirects and refusals of an imported configuration do what they did in HAProxy", async (t) => {
  const [web, api, next] = [await startBackend(t, "web"), await startBackend(t, "api"), await startBackend(t, "next")];
  const port = await freePort();
  const folder = folderWith(t, {
    "haproxy.cfg": `defaults
  mode http
  option forwardfor
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend site
  bind 127.0.0.1:${port}
  acl canary hdr(X-Canary) -i yes
  acl writes method POST PUT
  http-request deny deny_status 405 if writes { path_beg /static/ }
  http-request set-header X-Tier edge
  http-response del-header Server
  redirect location /new code 301 if { path /old }
  use_backend next if canary or { req.cook(group) beta }
  use_backend api if { hdr(host) -i api.example } or { path_reg ^/v[0-9]+/ }
  default_backend web
backend web
  balance roundrobin
  server w 127.0.0.1:${web} check
backend api
  balance roundrobin
  server a 127.0.0.1:${api}
backend next
  balance roundrobin
  server n 127.0.0.1:${next}
`,
  });
  const imported = await rhumb(["import", "haproxy", join(folder, "haproxy.cfg")]);
  assert.equal(imported.code, 0, imported.err);
  writeFileSync(join(folder, "rhumb.yaml"), imported.out);
  const checked = await rhumb(["check", "-c", join(folder, "rhumb.yaml")]);
  assert.equal(checked.code, 0, checked.err + checked.out);
  await startDaemon(t, [process.execPath, mainFile, "start", "-c", join(folder, "rhumb.yaml")], /Control API on/);

  for (const { path, headers, name } of [
    { path: "/", headers: {}, name: "web" },
    { path: "/", headers: { "x-canary": "YES" }, name: "next" },
    { path: "/", headers: { cookie: "a=b; group=beta" }, name: "next" },
    { path: "/", headers: { host: "API.example" }, name: "api" },
    { path: "/v2/users", headers: {}, name: "api" },
    { path: "/v2/users", headers: { "x-canary": "yes" }, name: "next" },
    { path: "/vx/users", headers: {}, name: "web" },
  ]) {
    const got = await ask(port, path, headers as Record<string, string>);
    assert.deepEqual(
      JSON.parse(got.body),
      { name, client: "127.0.0.1", tier: "edge" },
      `${path} ${JSON.stringify(headers)}`,
    );
    assert.equal(got.headers.server, undefined);
  }
  const moved = await ask(port, "/old");
  assert.equal(moved.status, 301);
  assert.match(moved.headers.location ?? "", /\/new$/);
  assert.equal((await ask(port, "/static/x", {}, "POST")).status, 405);
  assert.equal((await ask(port, "/static/x")).status, 200);
});
