/**
 * Every fault there is, of the network and of the broker, and what a life may fail with when it comes, at one point or
 * another: nothing else, and each of it somewhere.
 */
import type { Broker, Fault } from "effect-amqp/broker"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { Line, Network } from "./network.ts"

export interface Ground {
  readonly network: Network
  readonly broker: Broker.Service
  /** Of the frame that is about to arrive. */
  readonly line: Line
}

/** Happens at once, and is over when what it returns is called; without that it is over as soon as it has happened. */
export type Happening = (ground: Ground) => (() => void) | undefined

/** `step: Tag Reason` of each fault that is seen. */
type Ends = ReadonlyArray<string>

export interface Kind {
  readonly happening: Happening
  /** When it is healed after a while, or over at once. */
  readonly healed?: Ends
  /** When it lasts until the life is over. */
  readonly forGood?: Ends
}

// --- What it ends in ---

/** It comes through, whatever it takes. */
const nothing: Ends = []

/** What was not safe to repeat when the socket went. */
const lost = ["publish: OutcomeUnknown Lost"]
/** The first connect is one round. */
const broken = ["connect: ConnectError Refused", ...lost]

/** Whatever is in flight when nobody answers any more has the bound of its own that ends first. */
const mute = [
  "consume: OperationTimeout",
  "declare: OperationTimeout",
  "open: OperationTimeout",
  ...lost
]
const dead = ["connect: ConnectError Timeout", ...mute]

/** The connection has ended. */
const over = [
  "consume: ConnectionClosed Recovery",
  "declare: ConnectionClosed Recovery",
  "open: ConnectionClosed Recovery",
  "publish many: ConnectionClosed Recovery",
  "publish many: OutcomeUnknown Lost",
  "publish: ConnectionClosed Recovery",
  "publish: OutcomeUnknown Lost"
]
/** The same where that takes longer than what waits may. */
const overAtLast = [
  "consume: ConnectionClosed Recovery",
  "consume: OperationTimeout",
  "declare: ConnectionClosed Recovery",
  "declare: OperationTimeout",
  "open: ConnectionClosed Recovery",
  "open: OperationTimeout",
  "publish many: OperationTimeout",
  "publish many: OutcomeUnknown Lost",
  "publish: ConnectionClosed Recovery",
  "publish: OperationTimeout",
  "publish: OutcomeUnknown Lost"
]

// --- Of the network ---

const once = (healed: Ends, happen: (line: Line) => void): Kind => ({
  happening: ({ line }) => {
    happen(line)
    return undefined
  },
  healed
})

const lasting = (ends: Omit<Kind, "happening">, happen: (line: Line, network: Network) => void): Kind => ({
  happening: ({ line, network }) => {
    happen(line, network)
    return () => {
      network.dials = "answered"
      line.heal()
    }
  },
  ...ends
})

const ofNetwork: Readonly<Record<string, Kind>> = {
  "the line breaks before the frame": once(broken, (line) => line.cut()),
  "the line breaks behind the frame": once(broken, (line) => line.cutBehind()),
  "the line breaks in the middle of the frame": once(broken, (line) => line.cutWithin()),
  "both sides end": once(broken, (line) => line.end()),
  "the line goes dead": once(dead, (line) => line.deaf.add("client").add("broker")),
  "the client is not heard": once(dead, (line) => line.deaf.add("client")),
  "the broker is not heard": once(dead, (line) => line.deaf.add("broker")),
  "the broker does not read": lasting(
    { healed: ["connect: ConnectError Timeout"], forGood: dead },
    (line) => line.stuck.add("client")
  ),
  "the client cannot read": lasting(
    { healed: ["connect: ConnectError Timeout"], forGood: dead },
    (line) => line.stuck.add("broker")
  ),
  "frames come late": lasting({ forGood: nothing }, (line) => {
    line.lag = 400
  }),
  "octets come one by one": lasting({ forGood: nothing }, (line) => {
    line.isBytewise = true
  }),
  "the line breaks, and dials are refused": lasting(
    { healed: broken, forGood: ["connect: ConnectError Refused", ...over] },
    (line, network) => {
      network.dials = "refused"
      line.cut()
    }
  ),
  "the line breaks, and dials are ignored": lasting(
    { healed: ["connect: ConnectError Refused", ...mute], forGood: ["connect: ConnectError Refused", ...overAtLast] },
    (line, network) => {
      network.dials = "ignored"
      line.cut()
    }
  )
}

// --- Of the broker ---

const of = (ends: Omit<Kind, "happening">, ...faults: ReadonlyArray<Fault.Fault>): Kind => ({
  happening: ({ broker }) => {
    const injected = Effect.runSync(Effect.forEach(faults, broker.inject))
    return () => Effect.runSync(Effect.forEach(injected, ({ heal }) => heal))
  },
  ...ends
})

const unanswered = [
  // They wait for the room that those take up.
  "publish many: OperationTimeout",
  "publish many: OutcomeUnknown Timeout",
  "publish: OutcomeUnknown Timeout"
]

/** By the name of what asks for it: each that there is. */
const ofBroker: { readonly [N in Fault.Name]: Readonly<Record<string, Kind>> } = {
  drop: { "drop": of({ healed: broken }, { _tag: "Drop" }) },
  dropAfter: {
    "dropAfter": of({ healed: broken }, { _tag: "DropAfter", frames: 2, of: "broker" }),
    "dropAfter, again and again": of(
      { healed: lost, forGood: over },
      { _tag: "DropAfter", frames: 9, times: 1000 }
    )
  },
  refuse: {
    "refuse, and drop": of(
      { healed: broken, forGood: ["connect: ConnectError Refused", ...over] },
      { _tag: "Refuse" },
      { _tag: "Drop" }
    )
  },
  stall: {
    "stall, and drop": of(
      { healed: broken, forGood: ["connect: ConnectError Refused", ...overAtLast] },
      { _tag: "Stall" },
      { _tag: "Drop" }
    )
  },
  block: {
    "block": of({
      healed: nothing,
      // Nothing is read behind a publish that is held.
      forGood: [
        "consume: OperationTimeout",
        "open: OperationTimeout",
        "publish many: OperationTimeout",
        "publish many: OutcomeUnknown Timeout",
        "publish: OperationTimeout",
        "publish: OutcomeUnknown Timeout"
      ]
    }, { _tag: "Block", reason: "memory" })
  },
  nackNext: {
    "nackNext": of(
      { healed: ["publish many: PublishNacked", "publish: PublishNacked"] },
      { _tag: "NackNext", count: 2 }
    )
  },
  loseNext: {
    "loseNext": of({ healed: unanswered }, { _tag: "LoseNext", count: 2 }),
    "loseNext, stored": of({ healed: unanswered }, { _tag: "LoseNext", count: 2, stored: true })
  },
  closeChannel: {
    "closeChannel": of({
      healed: [
        "consume: ChannelError NotFound",
        "declare: ChannelError NotFound",
        // To a queue that could not be declared.
        "publish many: PublishReturned",
        "publish: PublishReturned",
        ...lost
      ]
    }, { _tag: "CloseChannel", code: 404 })
  },
  closeConnection: {
    "closeConnection": of({ healed: lost }, { _tag: "CloseConnection" }),
    "closeConnection 541": of({ healed: lost }, { _tag: "CloseConnection", code: 541 })
  },
  cancelConsumer: {
    "cancelConsumer": of({ healed: ["consume: ConsumerCancelled AckTimeout"] }, { _tag: "CancelConsumer" })
  },
  delay: {
    "delay": of({ forGood: nothing }, { _tag: "Delay", by: Duration.millis(300) }),
    "delay, too long": of(
      { healed: ["connect: ConnectError Timeout"], forGood: ["connect: ConnectError Timeout", ...overAtLast] },
      { _tag: "Delay", by: Duration.seconds(6) }
    )
  },
  silence: {
    "silence": of(
      { healed: ["connect: ConnectError Timeout"], forGood: ["connect: ConnectError Timeout", ...overAtLast] },
      { _tag: "Silence" }
    )
  },
  skipHeartbeats: { "skipHeartbeats": of({ forGood: nothing }, { _tag: "SkipHeartbeats" }) },
  cutFrame: {
    "cutFrame": of({ healed: broken }, { _tag: "CutFrame" }),
    "cutFrame, again and again": of({ healed: lost, forGood: over }, { _tag: "CutFrame", frames: 8, times: 1000 })
  },
  splitWrites: { "splitWrites": of({ forGood: nothing }, { _tag: "SplitWrites" }) }
}

export const all: ReadonlyArray<readonly [name: string, kind: Kind]> = [
  ...Object.entries(ofNetwork),
  ...Object.values(ofBroker).flatMap((kinds) => Object.entries(kinds))
]
