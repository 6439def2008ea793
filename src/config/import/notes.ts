/**
 * What an import could not take over as it was: one note for each line of the other product's files.
 *
 * Never:   judges how grave it is. `left out` means that the line has no effect any more, `changed` that it has another.
 * @module
 */

/** Where a note belongs. */
export type At = {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** The word that the line begins with, as the other product has it. */
  readonly directive: string;
};
export type Note = At & {
  readonly kind: "left out" | "changed";
  /** What happened, and why. */
  readonly says: string;
  /** What to do instead. */
  readonly fix: string;
};

export type Notes = {
  leftOut(at: At, says: string, fix: string): void;
  changed(at: At, says: string, fix: string): void;
  /** In the order of files and lines. */
  list(): Note[];
};

/** A file that is nonsense from its first line to its last is not worth more notes than somebody can read. */
const MAX_NOTES = 5_000;
/** Words of others are shown, but not whole books of them. */
const MAX_WORD = 60;

export function createNotes(): Notes {
  const notes = new Map<string, Note>();
  const files: string[] = [];
  const add = (kind: Note["kind"], at: At, says: string, fix: string): void => {
    if (notes.size >= MAX_NOTES) return;
    if (!files.includes(at.file)) files.push(at.file);
    const directive = shorten(at.directive);
    // What stands in `defaults` is read once for each section that it is for, and told once.
    const key = JSON.stringify([at.file, at.line, directive, says]);
    if (!notes.has(key)) notes.set(key, { file: at.file, line: at.line, directive, kind, says, fix });
  };
  return {
    leftOut: (at, says, fix) => add("left out", at, says, fix),
    changed: (at, says, fix) => add("changed", at, says, fix),
    list: () => [...notes.values()].sort((a, b) => files.indexOf(a.file) - files.indexOf(b.file) || a.line - b.line),
  };
}

const shorten = (word: string): string => (word.length > MAX_WORD ? `${word.slice(0, MAX_WORD)}…` : word);
/** A word of the other file inside a sentence. */
export const quoted = (word: string): string => JSON.stringify(shorten(word));

/** `file:line: directive: sentence (what to do instead)` */
export const formatNote = ({ file, line, directive, says, fix }: Note): string =>
  `${file}:${line}: ${directive}: ${says} (${fix})`;
