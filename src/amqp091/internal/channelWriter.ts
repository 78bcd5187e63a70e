/**
 * What a channel writes: methods and messages under its number, into the output of the socket that carries it. While there
 * is none, nothing is written: what it was belonged to the life that has ended.
 *
 * @since 0.1.0
 */
import { FrameError } from "../../AmqpError.ts"
import { tally } from "../../internal/tally.ts"
import * as Method from "../Method.ts"
import type { ChannelHost } from "./channelHost.ts"
import type { Outgoing } from "./publishing.ts"

const immediate = new FrameError({
  reason: "Value",
  field: "basic.publish.immediate",
  offset: 0,
  text: "RabbitMQ closes the connection over an immediate message (540); an expiration of 0 comes close"
})

/** @internal */
export class ChannelWriter {
  /** The channel number, or 0 while the channel is down. */
  number = 0
  private readonly host: ChannelHost

  constructor(host: ChannelHost) {
    this.host = host
  }

  /** Methods of which somebody awaits the last: in one write, at once. */
  call(method: Method.Method, before: ReadonlyArray<Method.Method>): FrameError | undefined {
    const { socket } = this.host
    if (socket === undefined) return undefined
    for (const each of before) socket.engine.send(this.number, each)
    const fault = socket.engine.send(this.number, method)
    socket.flushNow()
    return fault
  }

  /** A message; `urgent`: nothing else is in flight, and someone waits. */
  publish(outgoing: Outgoing, urgent: boolean): FrameError | undefined {
    if (outgoing.method.immediate) return immediate
    const { socket } = this.host
    if (socket === undefined) return undefined
    const fault = socket.engine.sendContent(this.number, outgoing.method, outgoing.properties, outgoing.body)
    if (fault === undefined) tally.published++
    if (urgent) socket.hurry()
    else socket.flush()
    return fault
  }

  /** A method that nobody waits on, with the turn's other output. After channel.close nothing may follow (504). */
  late(method: Method.Method): void {
    const { socket } = this.host
    if (socket === undefined || !socket.engine.isChannelOpen(this.number)) return
    socket.engine.send(this.number, method)
    socket.flush()
  }

  /** The same for basic.ack, the method of every message. `prefix`: no tag up to this one is unsettled. */
  acknowledge(deliveryTag: number, multiple: boolean, prefix: boolean): void {
    const { socket } = this.host
    if (socket === undefined) return
    socket.engine.acknowledge(this.number, deliveryTag, multiple, prefix)
    socket.flush()
  }

  /** Tells the broker, once, that the channel is closed. */
  close(): void {
    const { socket } = this.host
    if (socket === undefined || this.number === 0) return
    socket.engine.closeChannel(this.number, Method.ReplyCode.replySuccess, "Normal shutdown")
    socket.flushNow()
  }
}
