/**
 * Cuts the text of a master file into entries of tokens (RFC 1035 §5.1): blanks, comments, quotes, parentheses, escapes.
 *
 * Owns:   where a token starts and ends. Escapes inside tokens stay as they are; names and strings undo them.
 * Never:  knows directives, names or types.
 * @module
 */
import type { RdataToken } from "#dns/wire/rdata/text-reader.ts";

/** One token; the object is used again for the next entry. Lines and columns count from 1. */
export type Token = RdataToken & { line: number; column: number };

export type TokenFault = "openQuote" | "openParenthesis" | "strayParenthesis";

const TAB = 0x09;
const LINE_FEED = 0x0a;
const RETURN = 0x0d;
const BLANK = 0x20;
const QUOTE = 0x22;
const OPEN = 0x28;
const CLOSE = 0x29;
const SEMICOLON = 0x3b;
const BACKSLASH = 0x5c;

export class Tokenizer {
  /** Tokens of the entry read last; the first `count` are valid. */
  readonly tokens: Token[] = [];
  count = 0;
  /** The entry began with a blank: its owner is that of the entry before. */
  startsBlank = false;
  /** Line on which the entry read last began. */
  line = 1;
  /** Why the entry read last is not to be used; the place is its last token's, or `line`. */
  fault: TokenFault | undefined;
  private readonly text: string;
  private at = 0;
  private currentLine = 1;
  private lineStart = 0;

  constructor(text: string) {
    this.text = text;
    if (text.charCodeAt(0) === 0xfeff) {
      this.at = 1; // byte order mark
      this.lineStart = 1;
    }
  }

  /**
   * Reads the next entry that has tokens or a fault.
   * @returns false at the end of the text
   */
  next(): boolean {
    const { text } = this;
    const length = text.length;
    while (this.at < length) {
      this.startEntry();
      let depth = 0;
      scan: while (this.at < length) {
        const code = text.charCodeAt(this.at);
        switch (code) {
          case BLANK:
          case TAB:
          case RETURN:
            this.at++;
            continue;
          case LINE_FEED:
            this.newLine();
            if (depth === 0) break scan;
            continue;
          case SEMICOLON:
            this.skipComment();
            continue;
          case OPEN:
            depth++;
            this.at++;
            continue;
          case CLOSE:
            if (depth === 0) this.fault ??= "strayParenthesis";
            else depth--;
            this.at++;
            continue;
          case QUOTE:
            this.quoted();
            continue;
          default:
            this.word();
        }
      }
      if (depth > 0) this.fault ??= "openParenthesis";
      if (this.count > 0 || this.fault !== undefined) return true;
    }
    return false;
  }

  private startEntry(): void {
    this.count = 0;
    this.fault = undefined;
    this.line = this.currentLine;
    const code = this.text.charCodeAt(this.at);
    this.startsBlank = code === BLANK || code === TAB;
  }

  private newLine(): void {
    this.at++;
    this.currentLine++;
    this.lineStart = this.at;
  }

  private skipComment(): void {
    const end = this.text.indexOf("\n", this.at);
    this.at = end < 0 ? this.text.length : end;
  }

  private push(start: number, end: number, isQuoted: boolean): void {
    const value = this.text.slice(start, end);
    const column = start - this.lineStart + (isQuoted ? 0 : 1);
    if (this.count < this.tokens.length) {
      const token = this.tokens[this.count]!;
      token.text = value;
      token.isQuoted = isQuoted;
      token.line = this.currentLine;
      token.column = column;
    } else {
      this.tokens.push({ text: value, isQuoted, line: this.currentLine, column });
    }
    this.count++;
  }

  /** A quoted string ends on its line: a forgotten quote must not swallow the rest of the file. */
  private quoted(): void {
    const start = this.at + 1;
    const end = this.endOfQuote(start);
    this.push(start, Math.max(start, end), true);
    this.at = this.text.charCodeAt(end) === QUOTE ? end + 1 : end;
  }

  /** @returns where the closing quote stands, or where the line ends without one */
  private endOfQuote(start: number): number {
    const { text } = this;
    let at = start;
    for (; at < text.length; at++) {
      const code = text.charCodeAt(at);
      if (code === QUOTE) return at;
      if (code === LINE_FEED) break;
      if (code === BACKSLASH && at + 1 < text.length && text.charCodeAt(at + 1) !== LINE_FEED) at++;
    }
    this.fault ??= "openQuote";
    return Math.min(at, text.length);
  }

  /** A word; quotes inside it (`alpn="h2,h3"`) hold blanks together and stay in it. */
  private word(): void {
    const { text } = this;
    const start = this.at;
    let at = start;
    scan: for (; at < text.length; at++) {
      switch (text.charCodeAt(at)) {
        case BLANK:
        case TAB:
        case RETURN:
        case LINE_FEED:
        case SEMICOLON:
        case OPEN:
        case CLOSE:
          break scan;
        case BACKSLASH:
          if (at + 1 < text.length && text.charCodeAt(at + 1) !== LINE_FEED) at++;
          break;
        case QUOTE:
          at = this.endOfQuote(at + 1);
          if (text.charCodeAt(at) !== QUOTE) break scan;
      }
    }
    this.push(start, Math.min(at, text.length), false);
    this.at = Math.min(at, text.length);
  }
}
