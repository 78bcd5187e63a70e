/**
 * tshark, the dissector of other hands: a record of the octets that pipes carry both ways, made into packets by
 * text2pcap, which takes no right to capture anything, and what tshark reads in them.
 */
import * as Effect from "effect/Effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type * as Transport from "../../src/Transport.ts"
import { type CommandFailed, run } from "./childProcess.ts"

/** Whose octets they are: of who dialled, or of who listened. */
export type Side = "client" | "server"

/** What one pipe carried, in the order in which it was written and read. */
export type Conversation = Array<{ readonly from: Side; readonly octets: Uint8Array }>

/** A Transport whose pipes are recorded: a conversation is added to the list for each. */
export const recorded = (
  transport: typeof Transport.Transport.Service,
  conversations: Array<Conversation>
): typeof Transport.Transport.Service => ({
  dial: (target) =>
    Effect.map(transport.dial(target), (pipe) => {
      const conversation: Conversation = []
      conversations.push(conversation)
      return {
        remote: pipe.remote,
        tls: pipe.tls,
        start: (handler) =>
          pipe.start({
            ...handler,
            onData: (bytes, start, end) => {
              conversation.push({ from: "server", octets: bytes.slice(start, end) })
              handler.onData(bytes, start, end)
            }
          }),
        write: (bytes, onWritten) => {
          conversation.push({ from: "client", octets: bytes.slice() })
          return pipe.write(bytes, onWritten)
        },
        endOfTurn: (task) => pipe.endOfTurn(task),
        pause: () => pipe.pause(),
        resume: () => pipe.resume(),
        end: () => pipe.end(),
        destroy: () => pipe.destroy()
      }
    })
})

// IPv4 takes no longer packets.
const longestPacket = 60_000
const serverPort = 5672
const firstClientPort = 10_000

/** IPv4 (RFC 791) and TCP (RFC 9293) round a piece of a conversation, without their checksums. */
const packet = (
  client: number,
  from: Side,
  sequence: Readonly<Record<Side, number>>,
  octets: Uint8Array
): Uint8Array => {
  const bytes = new Uint8Array(40 + octets.length)
  const view = new DataView(bytes.buffer)
  const addresses = { client: 0x7f000001, server: 0x7f000002 }
  const ports = { client: firstClientPort + client, server: serverPort }
  const to = from === "client" ? "server" : "client"
  view.setUint16(0, 0x4500)
  view.setUint16(2, bytes.length)
  view.setUint16(8, 0x4006)
  view.setUint32(12, addresses[from])
  view.setUint32(16, addresses[to])
  view.setUint16(20, ports[from])
  view.setUint16(22, ports[to])
  view.setUint32(24, sequence[from])
  view.setUint32(28, sequence[to])
  view.setUint16(32, 0x5018)
  view.setUint16(34, 0xffff)
  bytes.set(octets, 40)
  return bytes
}

function* packets(conversations: ReadonlyArray<Conversation>): Iterable<Uint8Array> {
  for (const [client, conversation] of conversations.entries()) {
    const sequence = { client: 1, server: 1 }
    for (const { from, octets } of conversation) {
      for (let start = 0; start < octets.length; start += longestPacket) {
        const piece = octets.subarray(start, start + longestPacket)
        yield packet(client, from, sequence, piece)
        sequence[from] += piece.length
      }
    }
  }
}

const hexDump = (bytes: Uint8Array): string =>
  `000000 ${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex").replaceAll(/../g, "$& ")}\n`

/** What tshark reads. */
export interface Dissection {
  /** The values of a field in what a side of a conversation said, in order, but for empty ones, which it does not show. */
  readonly read: (conversation: number, from: Side, field: string) => ReadonlyArray<string>
  /** Its list of experts' notes, each as often as it stands there. */
  readonly notes: ReadonlyArray<string>
}

// Of the table of notes.
const isHeading = /^$|^=+$|^ +Frequency |^\w+ \(\d+\)$/

// One that no text in a frame has, so that values can be told apart.
const between = "\u0001"
const options = [
  ["-o", "tcp.analyze_sequence_numbers:FALSE", "-z", "expert"],
  ["-T", "fields", "-E", "separator=/t", "-E", `aggregator=${between}`]
].flat()

/** Asks tshark for these fields. */
export const dissect = (
  conversations: ReadonlyArray<Conversation>,
  fields: ReadonlyArray<string>
): Effect.Effect<Dissection, CommandFailed> =>
  Effect.acquireUseRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), "effect-amqp-tshark-"))),
    (folder) =>
      Effect.gen(function*() {
        const dump = join(folder, "octets.txt")
        const capture = join(folder, "packets.pcap")
        writeFileSync(dump, Array.from(packets(conversations), hexDump).join(""))
        yield* run("text2pcap", ["-q", "-F", "pcap", "-l", "101", dump, capture])
        const { stdout } = yield* run(
          "tshark",
          options.concat(
            ["-r", capture],
            ["tcp.srcport", "tcp.dstport", ...fields].flatMap((field) => ["-e", field])
          )
        )
        const values = new Map<string, Array<string>>()
        const notes: Array<string> = []
        for (const line of stdout.split("\n")) {
          const [source, target, ...cells] = line.split("\t")
          if (cells.length !== fields.length) {
            // A line of its table: how often, group, protocol, summary.
            const [, count, summary = line] = /^ +(\d+) +\S+ +AMQP +(.*)$/.exec(line) ?? []
            if (count !== undefined) notes.push(...Array.from({ length: Number(count) }, () => summary))
            else if (!isHeading.test(line)) notes.push(line)
            continue
          }
          const from = Number(target) === serverPort ? "client" : "server"
          const conversation = Number(from === "client" ? source : target) - firstClientPort
          for (const [index, cell] of cells.entries()) {
            if (cell === "") continue
            const key = `${conversation} ${from} ${fields[index]}`
            const known = values.get(key) ?? []
            known.push(...cell.split(between).filter((value) => value !== ""))
            values.set(key, known)
          }
        }
        return {
          read: (conversation, from, field) => values.get(`${conversation} ${from} ${field}`) ?? [],
          notes
        }
      }),
    (folder) => Effect.sync(() => rmSync(folder, { recursive: true }))
  )
