/**
 * MaxMind's own test databases, where they are: `RHUMB_TEST_DATA`, by default beside the checkout. CI fails without them.
 * @module
 */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";

const folder = resolve(process.env["RHUMB_TEST_DATA"] ?? join(import.meta.dirname, "../../../shared/data"), "maxmind");

/** Option of `test()`: one clear line where the data is absent, but never in CI. */
export const needsTestData = {
  skip:
    existsSync(folder) || process.env["CI"] !== undefined
      ? false
      : `needs ${folder}; set RHUMB_TEST_DATA to where it is`,
};
export const testData = (name: string): string => join(folder, name);
