/**
 * The `cluster:` section of rhumb.yaml: what nodes share, and where this node keeps its own state.
 *
 * Reader:  `config/`. Without the section, the embedded store in `state` serves a single node.
 * @module
 */

import { z } from "zod";
import { doc, path } from "#base/field.ts";

export const clusterSchema = z.strictObject({
  state: doc(
    path().default("run"),
    "Folder for what survives a restart: health, overrides, generations, the store. Made with mode 700.",
    {
      reload: "restart",
    },
  ),
});
export type ClusterConfig = z.output<typeof clusterSchema>;
