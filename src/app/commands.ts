/**
 * What the API may command, handed on to the parts of the node. Decides nothing.
 * @module
 */
import type { Commands, ConfigChangeView, ProbeRequest, ProbeView } from "#api/views.ts";
import { createBalancerCommands } from "#app/balancer/commands.ts";
import { createDesiredCommands } from "#app/desired-views.ts";
import { generationText } from "#app/generation-text.ts";
import type { NodeParts } from "#app/node-parts.ts";
import { RhumbError } from "#base/errors.ts";
import { askDns } from "#cli/dns-client.ts";
import type { ProposalResult } from "#config/propose.ts";
import { parseName } from "#dns/wire/name.ts";
import { typeNumber } from "#dns/wire/types.ts";

const PROBE_TIMEOUT_MS = 2_000;

export function createCommands(parts: NodeParts): Commands {
  const { door, health, geo, latency, notifier, drain, evacuations, options } = parts;
  return {
    balancer:
      parts.balancerViews &&
      createBalancerCommands({
        door,
        health,
        engine: parts.balancer,
        views: parts.balancerViews,
        learnName: parts.learnName,
      }),
    setOverride: ({ force, ...request }) => health.setOverride(request, { force }),
    clearOverride(id) {
      const before = health.listOverrides();
      const cleared = health.clearOverride(id);
      return before.find((override) => override.id === cleared[0]?.id);
    },
    approveFailback(region) {
      const { cause } = health.approveFailback(region);
      return { region, isApproved: true, says: cause ?? "Returns now" };
    },
    ...createDesiredCommands(parts.desired),
    records: parts.cluster.door,
    async reloadConfig() {
      parts.balancer.reopenLogs();
      return changeView(await door.propose({ source: "api" }));
    },
    async setLatency({ entries, replace }) {
      await latency.put(entries, replace);
      const { generation, networks } = geo.info().latency;
      return { generation, networks, entries: [], learned: [] };
    },
    async reloadGeo(isForced) {
      const problems = await geo.reload(isForced);
      const { database, asnDatabase } = geo.info();
      return { isLoaded: problems.length === 0, problems: [...problems], database, asnDatabase };
    },
    probe: (request) => probe(request, door.current()!.snapshot.node),
    testNotify: (name) => notifier.test(name),
    evacuate({ region, reason, force, ...wish }, { name }) {
      return evacuations.evacuate({ region, reason, isForced: force, wish }, name);
    },
    returnRegion: (region, { name }) => evacuations.bringBack(region, name),
    stopEvacuation: (region, { name }) => evacuations.stop(region, name),
    resumeEvacuation: (region, isForced, { name }) => evacuations.resume(region, isForced, name),
    startDrain: (reason, { name }) => drain.start(reason, name),
    announceAnycast: () => parts.anycast.announce(),
    withdrawAnycast: (reason, { name }) => parts.anycast.withdraw(reason, name),
    stopDrain: ({ name }) => drain.stop(name),
    ...(options.demo ? { demo: options.demo } : {}),
  };
}

const changeView = (result: ProposalResult): ConfigChangeView => ({
  isApplied: result.isApplied,
  isDryRun: result.isDryRun,
  generation: result.isApplied && result.generation ? generationText(result.generation) : null,
  problems: result.problems.map((problem) => ({ ...problem })),
  changes: [...result.changes],
});

async function probe({ address, port, name, type }: ProbeRequest, node: string): Promise<ProbeView> {
  const wireName = parseName(name);
  const number = typeNumber(type.toUpperCase());
  if (typeof wireName === "number" || number < 0) throw new RhumbError("RHUMB_APP_QUESTION", `${name} ${type}`);
  const ask = async (isTcp: boolean): Promise<ProbeView["udp"]> => {
    try {
      const asked = { address, port, name: wireName, type: number, isTcp, timeoutMs: PROBE_TIMEOUT_MS };
      const { response, rttMs } = await askDns(asked);
      return {
        isAnswered: true,
        rcode: response.rcode,
        isAuthoritative: response.flags.includes("aa"),
        isTruncated: response.flags.includes("tc"),
        answer: response.answer.map((record) => `${record.owner} ${record.ttlSeconds} ${record.type} ${record.rdata}`),
        rttMs,
        says: `${response.rcode} with ${response.answer.length} records`,
      };
    } catch (error) {
      const says = error instanceof Error ? error.message : String(error);
      return {
        isAnswered: false,
        rcode: null,
        isAuthoritative: false,
        isTruncated: false,
        answer: [],
        rttMs: null,
        says,
      };
    }
  };
  const [udp, tcp] = await Promise.all([ask(false), ask(true)]);
  return { node, address, port, udp, tcp };
}
