/**
 * The balancers that are compared, each as its authors ship it, with one thread that relays, and how to start them.
 *
 * All choose in turn (round robin) and log nothing. rhumb and HAProxy probe each backend by a TCP connection every five
 * seconds, which is rhumb's default; nginx has no such probes.
 * @module
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type BalancerRecipe, PROGRAM, type Site } from "./balancer-recipe.ts";

const STREAM_MODULE = "/usr/lib/nginx/modules/ngx_stream_module.so";

/** @param pool more settings of the pool */
export function rhumbCommand({ folder, listen, backends }: Site, engine: string, pool = ""): string[] {
  const list = backends.map((backend) => `"${backend}"`).join(", ");
  mkdirSync(join(folder, "run"), { recursive: true });
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
  listeners: { web: { listen: "${listen}", protocol: tcp, pool: web } }
  pools: { web: { algorithm: round_robin, ${pool}backends: [${list}] } }
`,
  );
  return [process.execPath, PROGRAM, "start", "-c", join(folder, "rhumb.yaml")];
}

const rhumb = (engine: string): BalancerRecipe => ({
  name: engine,
  title: `rhumb ${engine}`,
  isOurs: true,
  needs: "taskset",
  prepare: (site) => rhumbCommand(site, engine),
});

/** @param tuning lines of `global`. @param options lines of `defaults` */
const haproxy = (name: string, title: string, tuning: string, options: string): BalancerRecipe => ({
  name,
  title,
  isOurs: false,
  needs: "haproxy",
  prepare({ folder, listen, backends, maxConnections }) {
    const file = join(folder, "haproxy.cfg");
    writeFileSync(
      file,
      `global
  nbthread 1
  maxconn ${maxConnections}
  ${tuning}
defaults
  mode tcp
  ${options}
  timeout connect 5s
  timeout client 350s
  timeout server 350s
listen web
  bind ${listen}
  balance roundrobin
${backends.map((backend, index) => `  server b${index} ${backend} check inter 5s\n`).join("")}`,
    );
    return ["haproxy", "-f", file];
  },
});

const NGINX_STREAM: BalancerRecipe = {
  name: "nginx",
  title: "nginx stream",
  isOurs: false,
  needs: STREAM_MODULE,
  prepare({ folder, listen, backends, maxConnections }) {
    const file = join(folder, "nginx.conf");
    writeFileSync(
      file,
      `load_module ${STREAM_MODULE};
daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log crit;
events { worker_connections ${2 * maxConnections}; }
stream {
  upstream web { ${backends.map((backend) => `server ${backend};`).join(" ")} }
  server { listen ${listen} backlog=4096; proxy_pass web; proxy_timeout 350s; }
}
`,
    );
    return ["nginx", "-e", "stderr", "-p", folder, "-c", file];
  },
};

export const EPOLL = rhumb("epoll");
export const NET = rhumb("net");
export const HAPROXY = haproxy("haproxy", "HAProxy", "", "");
/** Splicing pays for large bodies only, so it is measured there. */
export const HAPROXY_SPLICE = haproxy("haproxy-splice", "HAProxy splice-auto", "maxpipes 32", "option splice-auto");
export const L4_RECIPES: readonly BalancerRecipe[] = [EPOLL, NET, HAPROXY, HAPROXY_SPLICE, NGINX_STREAM];
