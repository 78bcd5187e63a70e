/** Rows as a picture: for each case a bar for each client, its length the cost beside the dearest one. */
import { type ClientName, peers } from "./cases.ts"
import { aim, type Row } from "./table.ts"

const colours: Record<ClientName, string> = {
  "ours": "#0a7d5a",
  "amqplib": "#c98b2b",
  "rabbitmq-client": "#8a8f98",
  "amqp-client": "#4c78a8",
  "bare": "#d0d4da"
}
const labels: Record<ClientName, string> = {
  "ours": "effect-amqp",
  "amqplib": "amqplib",
  "rabbitmq-client": "rabbitmq-client",
  "amqp-client": "@cloudamqp/amqp-client",
  "bare": "a bare socket"
}

const width = 960
const left = 330
const longest = 440
const bar = 11
const gap = 14
const top = 46

const escape = (text: string): string => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;")
const amount = (value: number, unit: string): string =>
  `${value >= 100 ? value.toFixed(0) : value.toPrecision(3)} ${unit}`

export const plot = (rows: ReadonlyArray<Row>): string => {
  const out: Array<string> = []
  const shown: ReadonlyArray<ClientName> = ["ours", ...peers, "bare"]
  let x = left
  for (const client of shown) {
    out.push(`<rect x="${x}" y="14" width="11" height="11" fill="${colours[client]}"/>`)
    out.push(`<text x="${x + 16}" y="24">${labels[client]}</text>`)
    x += 30 + labels[client].length * 7
  }
  let y = top
  for (const row of rows) {
    const clients = shown.filter((client) => row.values.has(client))
    if (clients.length < 2) continue
    const most = Math.max(...row.values.values())
    const note = row.ratio === undefined ? "" : `${row.ratio.toFixed(2)} of the best peer`
    const wanted = aim(row.case)
    out.push(
      `<text x="${left - 10}" y="${y + bar}" text-anchor="end" font-weight="600">${escape(row.case.name)}</text>`
    )
    out.push(
      `<text x="${left - 10}" y="${y + bar * 2.3}" text-anchor="end" fill="#667">${note}${
        wanted === "" ? "" : `, target ${wanted}`
      }</text>`
    )
    for (const client of clients) {
      const value = row.values.get(client) ?? 0
      const length = Math.max(1, value / most * longest)
      out.push(`<rect x="${left}" y="${y}" width="${length.toFixed(1)}" height="${bar}" fill="${colours[client]}"/>`)
      out.push(
        `<text x="${(left + length + 5).toFixed(1)}" y="${y + bar - 2}" fill="#445">${
          amount(value, row.case.unit)
        }</text>`
      )
      y += bar
    }
    y += gap
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${y}" viewBox="0 0 ${width} ${y}"`,
    `  font-family="system-ui, sans-serif" font-size="11" fill="#223">`,
    `<title>CPU time for each message: shorter is better</title>`,
    `<rect width="${width}" height="${y}" fill="#fff"/>`,
    ...out,
    `</svg>`,
    ""
  ].join("\n")
}
