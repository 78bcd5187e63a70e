/** Samples as rows: medians, the best peer, the ratio and what was aimed at. */
import * as Array from "effect/Array"
import * as Order from "effect/Order"
import { type Case, type ClientName, peers } from "./cases.ts"
import type { Sample } from "./sample.ts"

export interface Row {
  readonly case: Case
  /** Medians by client, in the case's unit. */
  readonly values: ReadonlyMap<ClientName, number>
  /** Medians of ours: wall time and the broker's CPU, in microseconds for each message. */
  readonly wall: number
  readonly broker: number
  /** What ours is held against: the best peer, or another case of ours. */
  readonly best: number | undefined
  readonly ratio: number | undefined
  /** `undefined` where no target is set. */
  readonly isMet: boolean | undefined
}

/** The middle one, or the mean of the middle two. */
export const median = (values: ReadonlyArray<number>): number => {
  const sorted = Array.sort(values, Order.number)
  const middle = Math.floor(sorted.length / 2)
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2
}

export const rowsOf = (cases: ReadonlyArray<Case>, samples: ReadonlyArray<Sample>): ReadonlyArray<Row> => {
  const of = (name: string, client: ClientName, field: "value" | "wall" | "broker"): number | undefined => {
    const found = samples.filter((each) => each.case === name && each.client === client)
    return found.length === 0 ? undefined : median(found.map((each) => each[field]))
  }
  return cases.map((each) => {
    const values = new Map<ClientName, number>()
    for (const client of each.clients) {
      const value = of(each.name, client, "value")
      if (value !== undefined) values.set(client, value)
    }
    const ours = values.get("ours")
    const others = peers.flatMap((peer) => values.get(peer) ?? [])
    const best = each.beside === undefined
      ? (others.length === 0 ? undefined : Math.min(...others))
      : of(each.beside, "ours", "value")
    const ratio = ours === undefined || best === undefined ? undefined : ours / best
    const bare = values.get("bare") ?? 0
    return {
      case: each,
      values,
      wall: of(each.name, "ours", "wall") ?? 0,
      broker: of(each.name, "ours", "broker") ?? 0,
      best,
      ratio,
      isMet: each.target !== undefined && ratio !== undefined
        ? ratio <= each.target
        : each.limit !== undefined && ours !== undefined
        ? ours - bare <= each.limit
        : undefined
    }
  })
}

const number = (value: number | undefined): string =>
  value === undefined ? "" : value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)

export const aim = ({ limit, target, unit }: Case): string =>
  target !== undefined ? number(target) : limit !== undefined ? `${limit} ${unit}` : ""

export const table = (rows: ReadonlyArray<Row>): string => {
  const head = ["case", "unit", "ours", ...peers, "bare", "ours / best", "target", "met", "wall", "broker"]
  const lines = rows.map((row) => [
    row.case.name,
    row.case.unit,
    number(row.values.get("ours")),
    ...peers.map((peer) => number(row.values.get(peer))),
    number(row.values.get("bare")),
    number(row.ratio),
    aim(row.case),
    row.isMet === undefined ? "" : row.isMet ? "yes" : "no",
    number(row.wall),
    number(row.broker)
  ])
  const widths = head.map((title, column) => Math.max(title.length, ...lines.map((line) => line[column]!.length)))
  const line = (cells: ReadonlyArray<string>) => `| ${cells.map((cell, i) => cell.padEnd(widths[i]!)).join(" | ")} |`
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...lines.map(line)].join("\n")
}
