/**
 * Every error that the control plane throws: code, sentence, fix. `docs/errors.md` documents each (a test holds it).
 * The data plane does not throw; it returns faults.
 * @module
 */
export const ERRORS = {
  RHUMB_CONFIG_INVALID: {
    says: "Cannot use config %",
    fix: "Run `rhumb check`: it prints each problem with file, line and fix",
  },
  RHUMB_CONFIG_UNREADABLE: { says: "Cannot read %", fix: "Check that the file exists and that this user may read it" },
  RHUMB_NOT_SUPPORTED: { says: "% is not supported yet", fix: "Remove it from the configuration" },
} as const satisfies Record<string, { says: string; fix: string }>;

export type ErrorCode = keyof typeof ERRORS;

export class RhumbError extends Error {
  readonly code: ErrorCode;
  readonly fix: string;
  /** @param subject what the error is about; stands quoted in the sentence at `%` */
  constructor(code: ErrorCode, subject: string, options?: { cause?: unknown }) {
    super(
      ERRORS[code].says.replace("%", () => JSON.stringify(subject)),
      options,
    );
    this.name = "RhumbError";
    this.code = code;
    this.fix = ERRORS[code].fix;
  }
}
