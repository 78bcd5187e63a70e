/** What a document of another client describes, and where this project answers it. */

/** Words under one heading of the document: a class, a parameter, a method, a property, an error, a sample of code. */
export interface Heading {
  readonly heading: string
  readonly words: ReadonlyArray<string>
}

export interface Seed {
  /** The folder of its tests. */
  readonly name: "pika" | "kombu"
  readonly headings: ReadonlyArray<Heading>
  /** Those that README answers in its tables, because there is nothing of ours to run. The rest have a test each. */
  readonly inDocs: ReadonlyArray<string>
}
