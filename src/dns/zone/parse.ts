/**
 * Master files to records (RFC 1035 §5): directives, defaults, `STEER` and `ALIAS`; all problems at once.
 *
 * Owns:    the meaning of an entry. Cutting text is `tokens.ts`, resource data `wire/rdata/`, rules between records
 *          `check.ts`.
 * Never:   touches files: `$INCLUDE` asks a function. Throws nothing.
 * @module
 */
import type { Position, Problem } from "#base/problem.ts";
import { CLASS, classNumber } from "#dns/wire/classes.ts";
import { describeFault } from "#dns/wire/fault.ts";
import { parseName } from "#dns/wire/name.ts";
import { parseRdata } from "#dns/wire/rdata/table.ts";
import { isAbsoluteText, quote, type RdataProblem, TextReader } from "#dns/wire/rdata/text-reader.ts";
import { MAX_TTL_SECONDS, parseTtl } from "#dns/wire/ttl.ts";
import { isMetaType, TYPE, typeNumber } from "#dns/wire/types.ts";
import { fillTemplate, generateCount, parseGenerateRange } from "#dns/zone/generate.ts";
import { PSEUDO_TYPE } from "#dns/zone/record.ts";
import { RecordStore } from "#dns/zone/record-store.ts";
import { type Token, type TokenFault, Tokenizer } from "#dns/zone/tokens.ts";

export const ZONE_LIMITS = {
  /** Records that all `$GENERATE` of a zone may make together. */
  generatedRecords: 65_536,
  /** Files below files. */
  includeDepth: 8,
  /** Problems noted; a file of another format would fill pages. */
  problems: 1_000,
} as const;

/** TTL of a STEER record that has none: the default of a service's `ttl.max`. */
export const STEER_TTL_SECONDS = 30;

/** Of a record whose TTL is unknown: it stays, so that nothing is said to be missing because of it. */
const STAND_IN_TTL_SECONDS = 3_600;

export type ZoneSource = {
  /** Named in positions. */
  readonly file: string;
  /** Wire name that relative names start from; undefined: `$ORIGIN` or the first SOA says it. */
  readonly origin?: Uint8Array | undefined;
  /** For records before the first `$TTL` or TTL. */
  readonly defaultTtlSeconds?: number | undefined;
  /** Text of an included file, or undefined when it cannot be had. The path is relative and has no `..` in it. */
  readonly include?: ((path: string, fromFile: string) => { file: string; text: string } | undefined) | undefined;
};

export type ParsedZone = {
  /** In the order of the file. */
  readonly records: RecordStore;
  readonly problems: Problem[];
  /** The origin at the end of the file, as given, or as learned from the first SOA record. */
  readonly origin: Uint8Array | undefined;
};

/** Reads a whole master file. Records that have a problem are left out, and all others are returned. */
export function parseZone(text: string, source: ZoneSource): ParsedZone {
  const parser = new ZoneParser(source);
  parser.parseFile(source.file, text, 0);
  return { records: parser.records, problems: parser.problems, origin: parser.origin };
}

const TOKEN_FAULTS: Readonly<Record<TokenFault, { says: string; fix: string }>> = {
  openQuote: { says: "A quote is opened and not closed on its line", fix: 'Close it with ", or write \\" for a quote' },
  openParenthesis: { says: "A parenthesis is opened and never closed", fix: "Close it after the record's last word" },
  strayParenthesis: { says: "A parenthesis is closed that was not opened", fix: "Remove it, or write \\)" },
};

class ZoneParser {
  readonly records = new RecordStore();
  readonly problems: Problem[] = [];
  origin: Uint8Array | undefined;
  private readonly include: ZoneSource["include"];
  private file = "";
  private ttlSeconds: number;
  private hasTtlDirective = false;
  /** Of the entry before, as the store has it; -1: there is none yet. */
  private ownerAt = -1;
  private generated = 0;

  constructor(source: ZoneSource) {
    this.include = source.include;
    this.origin = source.origin;
    this.ttlSeconds = source.defaultTtlSeconds ?? -1;
  }

  parseFile(file: string, text: string, depth: number): void {
    this.enter(file);
    const entries = new Tokenizer(text);
    while (this.problems.length < ZONE_LIMITS.problems && entries.next()) {
      if (entries.fault !== undefined) this.faultyEntry(entries);
      else if (!entries.startsBlank && entries.tokens[0]!.text.startsWith("$")) this.directive(entries, depth);
      else this.record(entries.tokens, entries.count, entries.startsBlank);
    }
    if (this.problems.length === ZONE_LIMITS.problems) {
      this.problem(
        { file, line: entries.line, column: 1 },
        "There are too many problems to list; reading stopped here",
        "Check that this is a master file",
      );
    }
  }

  private enter(file: string): void {
    this.file = file;
    this.records.startFile(file);
  }

  private problem(at: Position, says: string, fix: string, severity: Problem["severity"] = "error"): void {
    this.problems.push({ file: at.file, line: at.line, column: at.column, path: "", severity, says, fix });
  }

  private place(token: Token): Position {
    return { file: this.file, line: token.line, column: token.column };
  }

  /** Blames token `index`, or the last of `count` when it is past the end. */
  private blame(tokens: readonly Token[], count: number, index: number, says: string, fix: string): void {
    this.problem(this.place(tokens[Math.min(index, count - 1)]!), says, fix);
  }

  private faultyEntry(entries: Tokenizer): void {
    const { says, fix } = TOKEN_FAULTS[entries.fault!];
    const isQuote = entries.fault === "openQuote" && entries.count > 0;
    const last = entries.tokens[entries.count - 1];
    this.problem(isQuote ? this.place(last!) : { file: this.file, line: entries.line, column: 1 }, says, fix);
  }

  // Records

  private record(tokens: readonly Token[], count: number, isOwnerBlank: boolean): void {
    const first = tokens[0]!;
    let next = 0;
    if (!isOwnerBlank && !this.readOwner(tokens[next++]!, tokens, count)) return;
    let ttlSeconds = -1;
    let hasClass = false;
    for (; next < count; next++) {
      const token = tokens[next]!;
      const start = token.text.charCodeAt(0);
      if (ttlSeconds < 0 && start >= 0x30 && start <= 0x39) {
        ttlSeconds = this.readTtl(token);
        if (ttlSeconds < 0) return;
      } else if (!hasClass && (token.text === "IN" || this.isClass(token.text))) {
        if (token.text !== "IN" && classNumber(token.text) !== CLASS.IN) {
          this.problem(this.place(token), `The class ${quote(token.text)} is not served`, "Use IN, or leave it out");
          return;
        }
        hasClass = true;
      } else break;
    }
    if (next >= count) {
      this.blame(tokens, count, next, "The type is missing", "Write owner, TTL, class, type and data");
      return;
    }
    const type = this.readType(tokens[next]!);
    if (type < 0) return;
    if (type === TYPE.SOA) this.learnOrigin(first, isOwnerBlank);
    if (this.ownerAt < 0) {
      this.problem(
        this.place(first),
        "The first record has no owner",
        "Write its owner at the start of the line; @ is the origin",
      );
      return;
    }
    const rdata = this.readRdata(type, tokens, next + 1, count);
    if (!rdata) return;
    if (ttlSeconds >= 0) {
      if (!this.hasTtlDirective && type !== PSEUDO_TYPE.steer) this.ttlSeconds = ttlSeconds; // RFC 1035 §5.1: the last one stated
    } else if (type === PSEUDO_TYPE.steer) ttlSeconds = STEER_TTL_SECONDS;
    else ttlSeconds = this.defaultTtl(type, rdata, first);
    this.records.add(this.ownerAt, type, ttlSeconds, rdata, first.line, first.column);
  }

  private readOwner(token: Token, tokens: readonly Token[], count: number): boolean {
    // A zone without an origin gets it from its SOA record, whose own name must then be absolute.
    if (this.origin === undefined && !isAbsoluteText(token.text)) {
      this.blame(
        tokens,
        count,
        0,
        `The owner ${quote(token.text)} is relative, and there is no origin`,
        "End it in a dot, or set $ORIGIN",
      );
      return false;
    }
    const owner = parseName(token.text, this.origin);
    if (typeof owner === "number") {
      const { says, fix } = describeFault(owner);
      this.problem(this.place(token), `The owner ${quote(token.text)} ${says}`, fix);
      return false;
    }
    this.ownerAt = this.records.addOwner(owner);
    return true;
  }

  private learnOrigin(ownerToken: Token, isOwnerBlank: boolean): void {
    if (this.origin !== undefined || isOwnerBlank || !isAbsoluteText(ownerToken.text)) return;
    this.origin = this.records.nameAt(this.ownerAt).slice();
  }

  private isClass(text: string): boolean {
    const first = text.charCodeAt(0) | 0x20;
    // IN, CH, HS, CLASSnnn; who writes ANY means the type
    if (first !== 0x69 && first !== 0x63 && first !== 0x68) return false;
    return classNumber(text) >= 0;
  }

  private readTtl(token: Token): number {
    const seconds = parseTtl(token.text);
    if (seconds === -1 && /[.:]/.test(token.text)) {
      const says = `The type is missing before ${quote(token.text)}`;
      this.problem(this.place(token), says, "Write A before an IPv4 and AAAA before an IPv6 address");
    } else if (seconds === -1) {
      this.problem(this.place(token), `The TTL ${quote(token.text)} is not a time`, "Write seconds, or such as 1h30m");
    } else if (seconds < 0 || seconds > MAX_TTL_SECONDS) {
      const says = `The TTL ${quote(token.text)} is more than ${MAX_TTL_SECONDS} seconds`;
      this.problem(this.place(token), says, "Use less: a day is 86400 (RFC 2181 §8)");
      return -1;
    }
    return seconds;
  }

  private readType(token: Token): number {
    const { text } = token;
    const type = typeNumber(text);
    if (type >= 0 && !isMetaType(type) && type !== PSEUDO_TYPE.steer && type !== PSEUDO_TYPE.alias) return type;
    if (type < 0) {
      const upper = text.toUpperCase();
      if (upper === "STEER") return PSEUDO_TYPE.steer;
      if (upper === "ALIAS") return PSEUDO_TYPE.alias;
      const fix = text.startsWith("$")
        ? "Start directives in the first column"
        : "Write such as A, or TYPE and a number";
      this.problem(this.place(token), `The type ${quote(text)} is unknown`, fix);
    } else {
      this.problem(
        this.place(token),
        `The type ${quote(text)} cannot stand in a zone`,
        "Use another type, or remove it",
      );
    }
    return -1;
  }

  private readRdata(type: number, tokens: readonly Token[], start: number, count: number): Uint8Array | undefined {
    let rdata: Uint8Array | RdataProblem;
    if (type === PSEUDO_TYPE.steer) rdata = parseSteer(tokens, start, count);
    else if (type === PSEUDO_TYPE.alias) rdata = parseAlias(tokens, start, count, this.origin);
    else rdata = parseRdata(type, tokens, start, count, this.origin);
    if (rdata instanceof Uint8Array) return rdata;
    this.blame(tokens, count, rdata.token, rdata.says, rdata.fix);
    return undefined;
  }

  private defaultTtl(type: number, rdata: Uint8Array, token: Token): number {
    if (this.ttlSeconds >= 0) return this.ttlSeconds;
    const at = this.place(token);
    if (type === TYPE.SOA) {
      const minimum = new DataView(rdata.buffer, rdata.byteOffset + rdata.length - 4).getUint32(0);
      this.ttlSeconds = Math.min(minimum, MAX_TTL_SECONDS);
      const says = `There is no TTL; the SOA record's last number, ${this.ttlSeconds}, is used`;
      this.problem(at, says, "Set $TTL at the top of the file", "warning");
      return this.ttlSeconds;
    }
    this.problem(at, "The record has no TTL, and there is no default", "Set $TTL at the top of the file");
    return STAND_IN_TTL_SECONDS;
  }

  // Directives

  private directive(entries: Tokenizer, depth: number): void {
    const { tokens, count } = entries;
    const token = tokens[0]!;
    switch (token.text.toUpperCase()) {
      case "$ORIGIN":
        if (this.hasArguments(tokens, count, 1, 1, "a name")) this.setOrigin(tokens[1]!);
        return;
      case "$TTL": {
        if (!this.hasArguments(tokens, count, 1, 1, "a time")) return;
        const seconds = this.readTtl(tokens[1]!);
        if (seconds < 0) return;
        this.ttlSeconds = seconds;
        this.hasTtlDirective = true;
        return;
      }
      case "$INCLUDE":
        if (this.hasArguments(tokens, count, 1, 2, "a file, and perhaps an origin")) this.includeFile(entries, depth);
        return;
      case "$GENERATE":
        if (this.hasArguments(tokens, count, 4, 64, "a range, an owner, a type and data")) this.generate(tokens, count);
        return;
      default: {
        const fix = "Use $ORIGIN, $TTL, $INCLUDE or $GENERATE; an owner that starts with $ is written \\$";
        this.problem(this.place(token), `The directive ${quote(token.text)} is unknown`, fix);
      }
    }
  }

  private hasArguments(tokens: readonly Token[], count: number, least: number, most: number, what: string): boolean {
    if (count - 1 >= least && count - 1 <= most) return true;
    const says = `${tokens[0]!.text} has ${count - 1} words after it`;
    this.problem(this.place(tokens[0]!), says, `Write ${what} after it`);
    return false;
  }

  private setOrigin(token: Token): boolean {
    const isRelative = this.origin === undefined && !isAbsoluteText(token.text);
    const origin = isRelative ? -1 : parseName(token.text, this.origin);
    if (typeof origin !== "number") {
      this.origin = origin;
      return true;
    }
    const { says, fix } = isRelative
      ? { says: "is relative, and there is no origin before it", fix: "End it in a dot" }
      : describeFault(origin);
    this.problem(this.place(token), `The origin ${quote(token.text)} ${says}`, fix);
    return false;
  }

  /** Origin, owner and TTL are after an included file what they were before it. */
  private includeFile(entries: Tokenizer, depth: number): void {
    const pathToken = entries.tokens[1]!;
    const at = this.place(pathToken);
    const path = pathToken.text;
    if (path.startsWith("/") || path.includes("\\") || path.includes("\0") || path.split("/").includes("..")) {
      this.problem(at, `The path ${quote(path)} leaves the zone folder`, "Use a path below it, without ..");
      return;
    }
    if (depth >= ZONE_LIMITS.includeDepth) {
      const says = `Files include each other more than ${ZONE_LIMITS.includeDepth} deep`;
      this.problem(at, says, "Look for a file that includes itself");
      return;
    }
    const included = this.include?.(path, this.file);
    if (!included) {
      const says = this.include ? `Cannot read the included file ${quote(path)}` : "$INCLUDE is not allowed here";
      this.problem(at, says, this.include ? "Check that it lies in the zone folder" : "Put its records here");
      return;
    }
    const { file, origin, ownerAt, ttlSeconds, hasTtlDirective } = this;
    if (entries.count < 3 || this.setOrigin(entries.tokens[2]!)) {
      this.parseFile(included.file, included.text, depth + 1);
    }
    this.enter(file);
    this.origin = origin ?? this.origin;
    this.ownerAt = ownerAt;
    this.ttlSeconds = ttlSeconds;
    this.hasTtlDirective = hasTtlDirective;
  }

  private generate(tokens: readonly Token[], count: number): void {
    const range = parseGenerateRange(tokens[1]!.text);
    if (!range) {
      const says = `The range ${quote(tokens[1]!.text)} is malformed`;
      this.problem(this.place(tokens[1]!), says, "Write start-stop or start-stop/step, such as 1-254");
      return;
    }
    const wanted = generateCount(range);
    if (this.generated + wanted > ZONE_LIMITS.generatedRecords) {
      const says = `$GENERATE makes more than ${ZONE_LIMITS.generatedRecords} records in this zone`;
      this.problem(this.place(tokens[1]!), says, "Use a wildcard, or a shorter range");
      return;
    }
    this.generated += wanted;
    const filled: Token[] = tokens.slice(2, count).map((token) => ({ ...token }));
    const problemsBefore = this.problems.length;
    for (let value = range.start; value <= range.stop; value += range.step) {
      for (const [index, token] of filled.entries()) {
        const template = tokens[index + 2]!;
        const text = fillTemplate(template.text, value);
        if (text === undefined) {
          const says = `The template ${quote(template.text)} is malformed for ${value}`;
          this.problem(
            this.place(template),
            says,
            "Write $ alone, or offset, width and base d, o, x, X, n or N in braces after it",
          );
          return;
        }
        token.text = text;
      }
      this.record(filled, filled.length, false);
      if (this.problems.length > problemsBefore) return; // the same would be wrong with all of them
    }
  }
}

/** One service name: letters, digits, `-`, `_` and `.`. */
function parseSteer(tokens: readonly Token[], start: number, count: number): Uint8Array | RdataProblem {
  const fix = "Write one service of services.yaml, such as: www 30 STEER www";
  if (start >= count) return { token: count, says: "STEER names no service", fix };
  if (count - start > 1) return { token: start + 1, says: "STEER names more than one service", fix };
  const name = tokens[start]!.text;
  if (!/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}$/.test(name)) {
    return { token: start, says: `The service name ${quote(name)} is malformed`, fix };
  }
  return new TextEncoder().encode(name);
}

function parseAlias(
  tokens: readonly Token[],
  start: number,
  count: number,
  origin: Uint8Array | undefined,
): Uint8Array | RdataProblem {
  const from = new TextReader(tokens, start, count, origin);
  from.name("target");
  if (from.hasMore()) from.fail("ALIAS has more than one target", "Write one name, such as: @ ALIAS www", start + 1);
  return from.problem ?? from.octets();
}
