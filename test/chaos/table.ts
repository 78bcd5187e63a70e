/** What became of each client in each part, as a table. */
import type { Outcome as ClusterOutcome } from "../cluster/underLoad.ts"
import type { Bounds } from "./client.ts"
import type { Part } from "./plan.ts"
import type { Outcome } from "./run.ts"

export interface Row {
  readonly client: string
  readonly part: Part
  readonly outcome: Outcome
}

const head = ({ prefetch, window }: Bounds) => [
  "part",
  "client",
  "published",
  "confirmed",
  "consumed",
  "lost",
  "spoilt",
  "duplicates",
  "cuts",
  `published again a cut (of ${window})`,
  `redelivered a cut (of ${prefetch})`,
  "confirms/s",
  "longest gap",
  "recovery: median",
  "max"
]

const each = (count: number, cuts: number): string => cuts === 0 ? "-" : (count / cuts).toFixed(1)

const cells = ({ client, outcome, part }: Row): ReadonlyArray<string> => [
  part.title,
  outcome.isStuck ? `${client} (stuck)` : client,
  ...[outcome.published, outcome.confirmed, outcome.consumed, outcome.lost, outcome.spoilt, outcome.duplicates]
    .map(String),
  String(outcome.cuts),
  each(outcome.republished, outcome.cuts),
  each(outcome.redelivered, outcome.cuts),
  String(outcome.confirmsPerSecond),
  ...[outcome.longestGap, outcome.recovery.median, outcome.recovery.max].map((seconds) => `${seconds.toFixed(2)} s`)
]

/** In Markdown. */
export const table = (rows: ReadonlyArray<Row>, bounds: Bounds): string => {
  const first = head(bounds)
  const lines = [first, ...rows.map(cells)]
  const widths = first.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)))
  const text = (line: ReadonlyArray<string>) =>
    `| ${
      line.map((cell, column) => column < 2 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0))
        .join(" | ")
    } |`
  const rule = `| ${
    widths.map((width, column) => column < 2 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`).join(" | ")
  } |`
  return [text(first), rule, ...rows.map((row) => text(cells(row)))].join("\n")
}

/** What became of each client on a cluster whose nodes were killed in turn. */
export const clusterTable = (
  rows: ReadonlyArray<{ readonly client: string; readonly outcome: ClusterOutcome }>
): string =>
  [
    "| client | confirmed | lost | duplicates | confirms/s | longest gap | each kill: confirms/s before, back at 0.8 of it |",
    "| - | -: | -: | -: | -: | -: | - |",
    ...rows.map(({ client, outcome }) =>
      `| ${client} | ${outcome.confirmed} | ${outcome.lost} | ${outcome.duplicates} | ${outcome.confirmsPerSecond} | ${
        outcome.longestGap.toFixed(2)
      } s | ${
        outcome.kills.map(({ before, recoveredAfter }) =>
          `${before}, ${recoveredAfter === undefined ? "never" : `${recoveredAfter.toFixed(1)} s`}`
        ).join("; ")
      } |`
    )
  ].join("\n")
