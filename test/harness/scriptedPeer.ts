/**
 * A server that says what a test tells it, frame by frame: the peer that hangs up, goes silent, or breaks the protocol.
 * It listens on whatever TransportServer there is; `layerMemory` brings one, and so runs under TestClock.
 */
import { Transport } from "effect-amqp"
import { Frame, Method } from "effect-amqp/amqp091"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import { ByteWriter } from "../../src/wire/ByteWriter.ts"

type Tag = Method.Method["_tag"]
type Of<T extends Tag> = Extract<Method.Method, { readonly _tag: T }> & { readonly channel: number }

export interface HandshakeOptions {
  readonly mechanisms?: string | undefined
  readonly channelMax?: number | undefined
  readonly frameMax?: number | undefined
  readonly heartbeat?: number | undefined
  /** Over those it announces otherwise: basic.nack and publisher_confirms. */
  readonly capabilities?: { readonly [name: string]: boolean } | undefined
  /** Whether it announces that it says why it refuses a login. */
  readonly tells?: boolean | undefined
}

const nameOf = (frame: Frame.Frame): string => {
  switch (frame._tag) {
    case "MethodFrame":
      return `${frame.channel} ${Method.name(frame.method)}`
    default:
      return frame._tag
  }
}

/** The server's end of one connection. */
export class Peer {
  /** Everything that came, in order: `1 channel.open`, `HeaderFrame`, `HeartbeatFrame`, …; last of all `closed`. */
  readonly log: Array<string> = []
  /** The bodies that came. */
  readonly bodies: Array<string> = []
  readonly pipe: Transport.Pipe
  private readonly frames: Queue.Queue<Frame.Frame | undefined>
  /** Whether what is sent goes in pieces of one byte. */
  bytewise = false

  constructor(pipe: Transport.Pipe, frames: Queue.Queue<Frame.Frame | undefined>) {
    this.pipe = pipe
    this.frames = frames
    const decoder = Frame.makeDecoder()
    pipe.start({
      onData: (bytes, start, end) => {
        for (const frame of decoder.push(bytes.subarray(start, end))) {
          this.log.push(nameOf(frame))
          if (frame._tag === "BodyFrame") this.bodies.push(new TextDecoder().decode(frame.payload))
          frames.unsafeOffer(frame)
        }
      },
      onDrain: () => {},
      onClose: () => {
        this.log.push("closed")
        frames.unsafeOffer(undefined)
      }
    })
  }

  /** Waits for a method, past whatever else comes before it. */
  expect<T extends Tag>(tag: T): Effect.Effect<Of<T>> {
    return Effect.flatMap(Queue.take(this.frames), (frame) => {
      if (frame === undefined) {
        return Effect.dieMessage(`the client closed while ${tag} was awaited: ${this.log.join(", ")}`)
      }
      return frame._tag === "MethodFrame" && frame.method._tag === tag
        ? Effect.succeed({ ...frame.method, channel: frame.channel } as Of<T>)
        : this.expect(tag)
    })
  }

  /** Waits for any method. */
  next(): Effect.Effect<{ readonly channel: number; readonly method: Method.Method }> {
    return Effect.flatMap(Queue.take(this.frames), (frame) => {
      if (frame === undefined) return Effect.never
      return frame._tag === "MethodFrame" ? Effect.succeed(frame) : this.next()
    })
  }

  /** Waits until the client has closed. */
  get closed(): Effect.Effect<void> {
    return Effect.asVoid(Effect.repeat(Queue.take(this.frames), { until: (frame) => frame === undefined }))
  }

  bytes(bytes: Uint8Array): Effect.Effect<void> {
    return Effect.sync(() => {
      if (!this.bytewise) return void this.pipe.write(bytes.slice())
      for (let at = 0; at < bytes.length; at++) this.pipe.write(bytes.slice(at, at + 1))
    })
  }

  text(text: string): Effect.Effect<void> {
    return this.bytes(new TextEncoder().encode(text))
  }

  /** Sends frames in one piece. */
  frame(...frames: ReadonlyArray<Frame.Frame>): Effect.Effect<void> {
    const writer = new ByteWriter(1024)
    for (const frame of frames) Frame.encode(writer, frame)
    return this.bytes(writer.bytes.slice(0, writer.length))
  }

  /** Sends methods in one piece. */
  send(channel: number, ...methods: ReadonlyArray<Method.Method>): Effect.Effect<void> {
    return this.frame(...methods.map((method) => ({ _tag: "MethodFrame" as const, channel, method })))
  }

  deliver(
    channel: number,
    method: Method.BasicDeliver | Method.BasicGetOk,
    text: string
  ): Effect.Effect<void> {
    return this.frame(...content(channel, method, text))
  }

  /** The pipe goes without a word. */
  readonly cut: Effect.Effect<void> = Effect.sync(() => this.pipe.destroy())

  // --- What servers usually say ---

  start(options: HandshakeOptions = {}): Effect.Effect<void> {
    return this.send(0, {
      _tag: "ConnectionStart",
      versionMajor: 0,
      versionMinor: 9,
      serverProperties: {
        product: "script",
        capabilities: {
          authentication_failure_close: options.tells === true,
          "basic.nack": true,
          publisher_confirms: true,
          ...options.capabilities
        }
      },
      mechanisms: options.mechanisms ?? "PLAIN",
      locales: "en_US"
    })
  }

  tune(options: HandshakeOptions = {}): Effect.Effect<void> {
    return this.send(0, {
      _tag: "ConnectionTune",
      channelMax: options.channelMax ?? 2047,
      frameMax: options.frameMax ?? 131072,
      heartbeat: options.heartbeat ?? 0
    })
  }

  /** The whole handshake. */
  handshake(options: HandshakeOptions = {}): Effect.Effect<void> {
    return this.start(options).pipe(
      Effect.zipRight(this.expect("ConnectionStartOk")),
      Effect.zipRight(this.tune(options)),
      Effect.zipRight(this.expect("ConnectionOpen")),
      Effect.zipRight(this.send(0, { _tag: "ConnectionOpenOk" }))
    )
  }

  /** Answers a channel.open. */
  get openChannel(): Effect.Effect<number> {
    return Effect.flatMap(
      this.expect("ChannelOpen"),
      ({ channel }) => Effect.as(this.send(channel, { _tag: "ChannelOpenOk" }), channel)
    )
  }

  /** Answers a channel.open and its confirm.select. */
  get openConfirmChannel(): Effect.Effect<number> {
    return Effect.tap(
      this.openChannel,
      (channel) => Effect.zipRight(this.expect("ConfirmSelect"), this.send(channel, { _tag: "ConfirmSelectOk" }))
    )
  }

  /** Answers a connection.close. */
  get goodbye(): Effect.Effect<Method.ConnectionClose> {
    return Effect.tap(this.expect("ConnectionClose"), () => this.send(0, { _tag: "ConnectionCloseOk" }))
  }
}

/** The frames of a method with a content. */
export const content = (channel: number, method: Method.Method, text: string): ReadonlyArray<Frame.Frame> => {
  const payload = new TextEncoder().encode(text)
  return [
    { _tag: "MethodFrame", channel, method },
    { _tag: "HeaderFrame", channel, bodySize: payload.length, properties: {} },
    ...payload.length === 0 ? [] : [{ _tag: "BodyFrame" as const, channel, payload }]
  ]
}

/** The scripted server. */
export class Peers extends Context.Tag("test/Peers")<Peers, {
  readonly port: number
  /** The next client. */
  readonly accept: Effect.Effect<Peer>
  /** How many clients came and were not accepted yet. */
  readonly waiting: Effect.Effect<number>
}>() {}

export const layer: Layer.Layer<Peers, never, Transport.TransportServer> = Layer.scoped(
  Peers,
  Effect.gen(function*() {
    const server = yield* Transport.TransportServer
    const peers = yield* Queue.unbounded<Peer>()
    const { port } = yield* Effect.orDie(server.listen({ host: "127.0.0.1", port: 0 }, (pipe) => {
      peers.unsafeOffer(new Peer(pipe, Effect.runSync(Queue.unbounded())))
    }))
    return { port, accept: Queue.take(peers), waiting: Queue.size(peers) }
  })
)

/** In memory, with the Transport that reaches it: `memory://` is its address. */
export const layerMemory: Layer.Layer<Peers | Transport.Transport> = Layer.provideMerge(layer, Transport.layerMemory)
