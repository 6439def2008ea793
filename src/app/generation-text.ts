/**
 * A generation as people see it: epoch and sequence, such as `1.42`.
 * @module
 */
import type { Generation } from "#state/snapshot.ts";

export const generationText = ({ epoch, sequence }: Generation): string => `${epoch}.${sequence}`;
