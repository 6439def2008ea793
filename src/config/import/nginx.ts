/**
 * nginx' configuration → listeners and pools: servers of `stream` as they are, servers of `http` relayed at layer 4.
 * @module
 */
import { createDraft } from "#config/import/draft.ts";
import { importHttp } from "#config/import/nginx-http.ts";
import { createPools } from "#config/import/nginx-pools.ts";
import { type Directive, readNginx } from "#config/import/nginx-read.ts";
import { importStream } from "#config/import/nginx-stream.ts";
import { createNotes, type Notes } from "#config/import/notes.ts";
import { type Imported, settle } from "#config/import/settle.ts";
import type { Sources } from "#config/import/sources.ts";
import { createNames } from "#config/import/words.ts";

/** Contexts that stand beside `http` and `stream`, and what they hold. */
const IGNORED = new Set(
  "events mail user worker_processes pid error_log worker_rlimit_nofile load_module env daemon master_process".split(
    " ",
  ),
);

/** A file of `conf.d/` has no `http` around it: what it holds says where it belongs. */
function blocksOf(
  top: readonly Directive[],
  notes: Notes,
): { readonly kind: "http" | "stream"; readonly block: readonly Directive[] }[] {
  const blocks = top.flatMap(({ name, block }) =>
    (name === "http" || name === "stream") && block ? [{ kind: name as "http" | "stream", block }] : [],
  );
  const bare = top.filter(({ name }) => ["server", "upstream", "map", "match", "limit_conn_zone"].includes(name));
  for (const { name, at } of top) {
    if (name === "http" || name === "stream" || bare.some((one) => one.at === at)) continue;
    notes.leftOut(
      at,
      IGNORED.has(name)
        ? "Settings of nginx' process have no meaning here"
        : "Outside of `http` and `stream` nothing is relayed",
      "See docs/settings.md and docs/going-live.md",
    );
  }
  if (bare.length === 0) return blocks;
  const isHttp = bare.some(
    ({ name, block }) =>
      name === "server" &&
      block?.some((one) => one.name === "location" || one.name === "root" || one.name === "return"),
  );
  const isStream = bare.some(({ name, block }) => name === "server" && block?.some((one) => one.name === "proxy_pass"));
  return [...blocks, { kind: isStream && !isHttp ? "stream" : "http", block: bare }];
}

export function importNginx(sources: Sources): Imported {
  const notes = createNotes();
  const draft = createDraft("nginx");
  const [poolNames, listenerNames] = [createNames(), createNames()];
  for (const { kind, block } of blocksOf(readNginx(sources, notes), notes)) {
    const pools = createPools(draft, poolNames, block, kind, notes);
    if (kind === "http") {
      importHttp(block, pools, draft, listenerNames, notes);
      if (draft.balancer.listeners.size > 0)
        notes.changed(
          block[0]?.at ?? { file: sources.file, line: 1, directive: "http" },
          "HTTP is relayed as TCP: a connection stays at one backend, requests are not looked at, and no headers are added",
          "Nothing to do for plain balancing; rules by path, header or cookie stay with the backends",
        );
    } else importStream(block, pools, draft, listenerNames, notes);
  }
  return settle(draft, notes);
}
