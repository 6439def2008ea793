/**
 * Routers of the stage `local`: a BIRD 2 on each continent that speaks eBGP with its region's ExaBGP and with the other
 * routers, and installs nothing into the kernel. Its control socket is asked for the best route.
 * @module
 */
import { connect, type Socket } from "node:net";
import {
  ANYCAST_ADDRESS,
  asOfRegion,
  asOfRouter,
  type Plan,
  REGION_PLACES,
  REGIONS,
  type RegionName,
} from "#drill/stage/plan.ts";
import { CONTINENTS, type Continent } from "#drill/stage.ts";

const TIMEOUT_MS = 1_000;

/** Where a region's ExaBGP speaks from. */
export const speakerOf = (plan: Plan, region: RegionName): string => plan.vip[region].replace(/\.\d+$/, ".9");
export const regionOn = (continent: Continent): RegionName =>
  REGIONS.find((region) => REGION_PLACES[region].continent === continent)!;

/**
 * bird.conf of a continent's router. Pure. BIRD takes no route for 127.0.0.0/8, so every next hop is unreachable to it: all
 * alike, so that it chooses among them as ever.
 */
export function birdConfig(plan: Plan, continent: Continent): string {
  const { routers, port } = plan.bgp;
  const region = regionOn(continent);
  const others = CONTINENTS.filter((other) => other !== continent).map(
    (other) => `protocol bgp ${other} {
  local ${routers[continent]} port ${port} as ${asOfRouter(continent)};
  neighbor ${routers[other]} port ${port} as ${asOfRouter(other)};
  strict bind; multihop 2;
  hold time 9;
  connect retry time 1; connect delay time 1; error wait time 1, 4;
  ipv4 { import filter taken; export all; next hop self; };
}
`,
  );
  return `log stderr { info, remote, warning, error, auth, fatal, bug };
router id ${routers[continent]};
protocol device { scan time 3600; }
filter taken {
  # RFC 8326 section 4.2: who is about to go is taken last.
  if (65535, 0) ~ bgp_community then bgp_local_pref = 0;
  if net = ${ANYCAST_ADDRESS}/32 then accept;
  reject;
}
protocol bgp region {
  local ${routers[continent]} port ${port} as ${asOfRouter(continent)};
  neighbor ${speakerOf(plan, region)} as ${asOfRegion(region)};
  strict bind; passive; multihop 2;
  hold time 9;
  error wait time 1, 4;
  ipv4 { import filter taken; export none; };
}
${others.join("")}`;
}

/** @param text the answer to `show route primary for ADDRESS all` */
export function readBestRoute(text: string): { readonly region: string | null; readonly path: string } {
  const path = /BGP\.as_path:([ \d]*)/.exec(text)?.[1]?.trim() ?? "";
  const origin = Number(path.split(" ").at(-1));
  return { region: REGIONS.find((region) => path !== "" && asOfRegion(region) === origin) ?? null, path };
}

export type BirdSocket = {
  bestRoute(): Promise<{ readonly region: string | null; readonly path: string }>;
  close(): void;
};

/** A connection to BIRD's control socket: one question at a time, each answer ends with a line of a code and a space. */
export function openBird(path: string): BirdSocket {
  let socket: Socket | undefined;
  let said = "";
  let heard: ((text: string) => void) | undefined;
  let before: Promise<unknown> = Promise.resolve();
  const END = /^(?:0[0-9]{3}|8[0-9]{3}|9[0-9]{3}) .*$/m;

  function opened(): Socket {
    if (socket) return socket;
    const made = connect(path);
    socket = made;
    said = "";
    made.setEncoding("utf8");
    made.on("error", () => {});
    made.on("close", () => {
      if (socket === made) socket = undefined;
    });
    made.on("data", (text: string) => {
      said += text;
      // 0001 is the greeting.
      said = said.replace(/^0001 .*\n/, "");
      if (!END.test(said)) return;
      const whole = said;
      said = "";
      heard?.(whole);
    });
    return made;
  }
  async function ask(line: string): Promise<string> {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    heard = resolve;
    const timer = setTimeout(() => {
      socket?.destroy();
      reject(new Error(`BIRD at ${path} does not answer`));
    }, TIMEOUT_MS);
    opened().write(`${line}\n`);
    return promise.finally(() => clearTimeout(timer));
  }
  return {
    bestRoute() {
      const asking = before.then(() => ask(`show route primary for ${ANYCAST_ADDRESS}/32 all`));
      before = asking.catch(() => {});
      return asking.then(readBestRoute);
    },
    close: () => socket?.destroy(),
  };
}
