/**
 * The HTTP proxies that are compared, each as its authors ship it, with one thread that relays.
 *
 * All choose in turn (round robin), keep connections to backends, log nothing, and tell backends the same of the client:
 * X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, X-Forwarded-Port, X-Real-IP and X-Request-ID.
 * @module
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type BalancerRecipe, PROGRAM } from "./balancer-recipe.ts";

const rhumb = (engine: string): BalancerRecipe => ({
  name: engine,
  title: `rhumb ${engine}`,
  isOurs: true,
  needs: "taskset",
  prepare({ folder, listen, backends, certificate }) {
    mkdirSync(join(folder, "run"), { recursive: true });
    const tls =
      certificate === undefined
        ? "protocol: http"
        : `protocol: https, certificates: [{ cert: ${certificate.cert}, key: "file:${certificate.key}" }]`;
    writeFileSync(
      join(folder, "rhumb.yaml"),
      `version: 1
node: bench
control: { listen: "unix:run/rhumb.sock" }
cluster: { state: state/ }
balancer:
  region: bench
  workers: 1
  engine: ${engine}
  listeners: { web: { listen: "${listen}", ${tls}, pool: web } }
  pools: { web: { algorithm: round_robin, backends: [${backends.map((backend) => `"${backend}"`).join(", ")}] } }
`,
    );
    return [process.execPath, PROGRAM, "start", "-c", join(folder, "rhumb.yaml")];
  },
});

export const EPOLL = rhumb("epoll");
export const NET = rhumb("net");

export const HAPROXY: BalancerRecipe = {
  name: "haproxy",
  title: "HAProxy",
  isOurs: false,
  needs: "haproxy",
  prepare({ folder, listen, backends, maxConnections, certificate }) {
    const file = join(folder, "haproxy.cfg");
    const [scheme, port] = [certificate === undefined ? "http" : "https", listen.slice(listen.lastIndexOf(":") + 1)];
    const tls = certificate === undefined ? "" : ` ssl crt ${certificate.both} alpn h2,http/1.1`;
    writeFileSync(
      file,
      `global
  nbthread 1
  maxconn ${maxConnections}
defaults
  mode http
  option forwardfor
  unique-id-format %[uuid()]
  unique-id-header X-Request-ID
  timeout connect 5s
  timeout client 350s
  timeout server 350s
  timeout tunnel 1h
listen web
  bind ${listen}${tls}
  balance roundrobin
  http-request set-header X-Forwarded-Proto ${scheme}
  http-request set-header X-Forwarded-Host %[req.hdr(Host)]
  http-request set-header X-Forwarded-Port ${port}
  http-request set-header X-Real-IP %[src]
${backends.map((backend, index) => `  server b${index} ${backend} check inter 5s\n`).join("")}`,
    );
    return ["haproxy", "-f", file];
  },
};

export const NGINX: BalancerRecipe = {
  name: "nginx",
  title: "nginx",
  isOurs: false,
  needs: "nginx",
  prepare({ folder, listen, backends, maxConnections, certificate }) {
    const file = join(folder, "nginx.conf");
    const tls =
      certificate === undefined
        ? ""
        : `ssl_certificate ${certificate.cert}; ssl_certificate_key ${certificate.key}; ssl_session_cache shared:TLS:10m;
    ssl_protocols TLSv1.2 TLSv1.3;`; // before 1.23.4 nginx offers no 1.3 by itself
    writeFileSync(
      file,
      `daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log crit;
events { worker_connections ${2 * maxConnections}; }
http {
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  client_body_temp_path ${folder}; proxy_temp_path ${folder}; fastcgi_temp_path ${folder};
  uwsgi_temp_path ${folder}; scgi_temp_path ${folder};
  map $http_upgrade $connection_upgrade { default upgrade; "" ""; }
  upstream web { ${backends.map((backend) => `server ${backend};`).join(" ")} keepalive 256; keepalive_requests 1000000000; }
  server {
    listen ${listen}${certificate === undefined ? "" : " ssl http2"} backlog=4096;
    ${tls}
    location / {
      proxy_pass http://web;
      proxy_http_version 1.1;
      proxy_set_header Host $host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $host;
      proxy_set_header X-Forwarded-Port $server_port;
      proxy_set_header X-Real-IP $remote_addr;
      proxy_set_header X-Request-ID $request_id;
      proxy_read_timeout 1h;
    }
  }
}
`,
    );
    return [
      "nginx",
      "-e",
      "stderr",
      "-p",
      folder,
      "-c",
      file,
      ...(process.getuid?.() === 0 ? ["-g", "user root;"] : []),
    ];
  },
};

export const L7_RECIPES: readonly BalancerRecipe[] = [EPOLL, NET, HAPROXY, NGINX];
