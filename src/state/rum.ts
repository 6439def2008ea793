/**
 * Where beacons of pages are taken, with all defaults filled in.
 *
 * Writer:  `config/compile.ts`. Reader: `rum/create-rum.ts`.
 * Units:   requests per second.
 * @module
 */
import type { ListenAddress } from "#state/snapshot.ts";

export type RumSpec = {
  readonly listen: ListenAddress;
  /** Of pages: `https://www.example.com`. */
  readonly origins: readonly string[];
  /** What tokens are signed with. */
  readonly key: string;
  readonly tls: { readonly certFile: string; readonly keyFile: string } | undefined;
  /** Networks of proxies of ours: the client is who they say in `X-Forwarded-For`. */
  readonly proxies: readonly string[];
  /** Beacons: of all clients together, and of one /24 or /48. */
  readonly rate: { readonly total: number; readonly network: number };
};
