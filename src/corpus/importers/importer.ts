/** One message of a chat, as an importer finds it; cleaning and merging come after. */
export interface Message {
  /** Who wrote it; messages without a speaker are each taken for another person's. */
  readonly speaker?: string;
  readonly text: string;
  /** When, in milliseconds; a long silence ends a conversation. */
  readonly time?: number;
}

/** What the person chose; an importer uses what concerns its format. */
export interface ImporterOptions {
  /** The names of a CSV file's columns, where they are not the usual ones. */
  readonly columns?: Readonly<Partial<Record<CsvColumn, string>>>;
}

/** What a CSV column can hold. */
export type CsvColumn = 'conversation' | 'speaker' | 'time' | 'text' | 'context' | 'response';

/**
 * A format that conversations come in. To add one, write an importer in a file of its own and
 * list it in `importers.ts`.
 */
export interface Importer {
  /** One line for `dialogpt data import --help`. */
  readonly description: string;
  /**
   * The conversations of one file, each as its messages in order.
   *
   * @throws UserError that names the file and the place where it is not in this format.
   */
  read(path: string, options: ImporterOptions): AsyncIterable<readonly Message[]>;
}
