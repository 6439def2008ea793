/**
 * What an import reads: texts of the other product. The importers themselves touch no files.
 * @module
 */
export type Sources = {
  /** As it stands in notes. */
  readonly file: string;
  readonly text: string;
  /**
   * Files that the text includes, relative to the folder of `file`; `*` and `?` stand for what they do in shells.
   * Empty where there is none, or it lies outside of the folder.
   */
  readonly open?: (pattern: string) => readonly { readonly file: string; readonly text: string }[];
  /** Further files that the operator names, such as zones or a list of health checks. */
  readonly extra?: readonly { readonly file: string; readonly text: string }[];
};
