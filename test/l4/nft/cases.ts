/** Inputs of the golden files: `golden/<name>.nft` is what `renderRuleset()` makes of each. */
import type { KernelBackend, KernelGroup, KernelListener, RulesetInput } from "#l4/nft/ruleset.ts";

const NO_LIMITS = { acceptPerSecond: 0, clientConnections: 0, clientPerSecond: 0, clientBurst: 0 };
const backend = (pool: string, host: number, port = 80): KernelBackend => ({
  chain: `to.${pool}.00000${host}`,
  address: `10.0.0.${host}`,
  port,
  mac: `02:00:00:00:00:0${host}`,
});
const backend6 = (pool: string, host: number, port = 80): KernelBackend => ({
  ...backend(pool, host, port),
  address: `2001:db8::${host}`,
});
const group = (more: Partial<KernelGroup>): KernelGroup => ({
  name: "web.v4",
  family: 4,
  mode: "nft",
  backends: [backend("web", 1), backend("web", 2, 8080), backend("web", 3)],
  spread: { kind: "random", weights: [1, 2, 3] },
  ...more,
});
const GROUP6 = {
  name: "web.v6",
  family: 6,
  backends: [backend6("web", 1), backend6("web", 2, 8080), backend6("web", 3)],
} as const;
const listener = (more: Partial<KernelListener> = {}): KernelListener => ({
  name: "web",
  family: 4,
  address: "192.0.2.1",
  port: 80,
  protocol: "tcp",
  access: [],
  limits: NO_LIMITS,
  group: "web.v4",
  ...more,
});
const LISTENER6 = { family: 6, address: "2001:db8:1::1", group: "web.v6" } as const;
const input = (more: Partial<RulesetInput>): RulesetInput => ({
  nft: { table: "rhumb", device: "eth0", masquerade: false },
  deviceMac: "02:00:00:00:00:fe",
  listeners: [listener()],
  groups: [group({})],
  ...more,
});
/** As small as a table of slots can be and still be read. */
const slots = Uint32Array.of(2, 0, 1, 1, 2, 0, 0, 1, 2, 2, 1);
const byClient = { kind: "hash", slots, octets: 4, withPort: false } as const;
const byFlow = { kind: "hash", slots, octets: 4, withPort: true } as const;

export const CASES: readonly { readonly name: string; readonly input: RulesetInput }[] = [
  { name: "no-listeners", input: input({ listeners: [], groups: [] }) },
  { name: "nft-ipv4-tcp-weights", input: input({}) },
  { name: "nft-ipv6-tcp-weights", input: input({ listeners: [listener(LISTENER6)], groups: [group(GROUP6)] }) },
  {
    name: "nft-ipv4-udp-turns",
    input: input({
      listeners: [listener({ protocol: "udp", port: 53 })],
      groups: [group({ spread: { kind: "turns", order: [0, 2, 1, 0, 0, 2] } })],
    }),
  },
  { name: "nft-ipv4-tcp-hash", input: input({ groups: [group({ spread: byClient })] }) },
  {
    name: "nft-ipv6-udp-hash-of-64-bits",
    input: input({
      listeners: [listener({ ...LISTENER6, protocol: "udp" })],
      groups: [group({ ...GROUP6, spread: { ...byClient, octets: 8 } })],
    }),
  },
  {
    name: "nft-names-that-begin-with-digits",
    input: input({
      listeners: [listener({ name: "0-80", group: "0.v4" })],
      groups: [
        group({
          name: "0.v4",
          backends: [backend("0", 1), backend("0", 2)],
          spread: { ...byClient, slots: Uint32Array.of(1, 0, 0) },
        }),
      ],
    }),
  },
  { name: "nft-single-backend", input: input({ groups: [group({ spread: { kind: "single", backend: 1 } })] }) },
  { name: "nft-refuse", input: input({ groups: [group({ spread: { kind: "refuse" } })] }) },
  {
    name: "nft-one-arm-both-families-wildcard",
    input: input({
      nft: { table: "lb", device: undefined, masquerade: true },
      deviceMac: undefined,
      listeners: [
        listener(),
        listener({ name: "dns", address: "0.0.0.0", port: 53, protocol: "udp" }),
        listener({ ...LISTENER6, name: "web6" }),
        listener({ ...LISTENER6, name: "dns6", address: "::", port: 53, protocol: "udp" }),
      ],
      groups: [group({}), group(GROUP6)],
    }),
  },
  {
    name: "nft-access-and-limits",
    input: input({
      listeners: [
        listener({
          access: [
            { network: "198.51.100.0/24", action: "allow" },
            { network: "2001:db8::/32", action: "deny" },
            { network: "0.0.0.0/0", action: "deny" },
          ],
          limits: { acceptPerSecond: 1000, clientConnections: 20, clientPerSecond: 10, clientBurst: 30 },
        }),
      ],
    }),
  },
  {
    name: "stateless-ipv4-tcp-and-udp",
    input: input({
      listeners: [listener(), listener({ name: "quic", protocol: "udp" })],
      groups: [group({ mode: "nft-stateless", spread: byFlow })],
    }),
  },
  {
    name: "stateless-ipv6-tcp",
    input: input({
      listeners: [listener(LISTENER6)],
      groups: [group({ ...GROUP6, mode: "nft-stateless", spread: { ...byFlow, octets: 16 } })],
    }),
  },
  {
    name: "dsr-ipv4-tcp-hash",
    input: input({ groups: [group({ mode: "nft-dsr", spread: byClient })] }),
  },
  {
    name: "dsr-ipv6-udp-access-and-limits",
    input: input({
      listeners: [
        listener({
          ...LISTENER6,
          protocol: "udp",
          access: [{ network: "2001:db8:bad::/48", action: "deny" }],
          limits: { acceptPerSecond: 1000, clientConnections: 20, clientPerSecond: 10, clientBurst: 30 },
        }),
      ],
      groups: [group({ ...GROUP6, mode: "nft-dsr", spread: { ...byFlow, octets: 16 } })],
    }),
  },
  {
    name: "dsr-limits-tcp-refuse",
    input: input({
      listeners: [listener({ limits: { ...NO_LIMITS, acceptPerSecond: 1000 } })],
      groups: [group({ mode: "nft-dsr", spread: { kind: "refuse" } })],
    }),
  },
  {
    name: "all-modes-at-once",
    input: input({
      listeners: [
        listener(),
        listener({ name: "app", address: "192.0.2.2", group: "app.v4" }),
        listener({ name: "db", address: "192.0.2.3", group: "db.v4" }),
      ],
      groups: [
        group({}),
        group({
          name: "app.v4",
          mode: "nft-stateless",
          backends: [backend("app", 4), backend("app", 5)],
          spread: { ...byFlow, slots: Uint32Array.of(0, 1, 0) },
        }),
        group({
          name: "db.v4",
          mode: "nft-dsr",
          backends: [backend("db", 6)],
          spread: { kind: "single", backend: 0 },
        }),
      ],
    }),
  },
];
