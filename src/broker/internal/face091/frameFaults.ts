/**
 * What is wrong with a client's frames, in RabbitMQ's codes and words, found in the order in which RabbitMQ looks. Where it
 * would fall over or fall silent, and before a connection is open, the engine's own words stand.
 *
 * @since 0.1.0
 */
import * as Frame from "../../../amqp091/Frame.ts"
import type { Goodbye, Offence } from "../../../amqp091/internal/engine.ts"
import * as Method from "../../../amqp091/Method.ts"
import type { FrameError } from "../../../AmqpError.ts"
import { fault } from "./refusals.ts"

const methodFrame = 1
const headerFrame = 2
const bodyFrame = 3
const heartbeatFrame = 8

const basicClass = 60
const basicPublish = 40
const channelOpen = Method.definition("ChannelOpen")

// Class, weight and body size before the flags (0-9-1 §4.2.6.1), class and method before the arguments.
const shortestHeader = 12
const shortestMethod = 4

/** Erlang's way to print octets: `<<1,2>>`. */
const octetsOf = (octets: Uint8Array): string => `<<${octets.join(",")}>>`

const isPrintable = (octet: number): boolean => (octet >= 0x20 && octet < 0x7f) || octet >= 0xa0

/** The same, as text where it is text. */
const printed = (octets: Uint8Array): string => {
  if (octets.length === 0 || !octets.every(isPrintable)) return octetsOf(octets)
  return `<<"${String.fromCharCode(...octets).replace(/["\\]/g, "\\$&")}">>`
}

const snippet = ({ octets, size }: Offence): string =>
  size <= 16
    ? `all octets = ${printed(octets.subarray(0, size))}`
    : `first 16 octets = ${printed(octets.subarray(0, 16))}`

const noMethod = { classId: 0, methodId: 0 }
const publish = { classId: basicClass, methodId: basicPublish }

type Ids = Pick<Goodbye, "classId" | "methodId">

const goodbye = (code: number, text: string, ids: Ids = noMethod): Goodbye => {
  const { code: replyCode, text: replyText } = fault(code, text)
  return { replyCode, replyText, classId: ids.classId, methodId: ids.methodId }
}

const frameError = (text: string, ids?: Ids): Goodbye => goodbye(Method.ReplyCode.frameError, text, ids)
const unexpected = (text: string, ids?: Ids): Goodbye => goodbye(Method.ReplyCode.unexpectedFrame, text, ids)

const short = (octets: Uint8Array, at: number): number => ((octets[at] ?? 0) << 8) | (octets[at + 1] ?? 0)

const isWellFormed = ({ size, type }: Offence): boolean => {
  switch (type) {
    case methodFrame:
      return size >= shortestMethod
    case headerFrame:
      return size >= shortestHeader
    case bodyFrame:
      return true
    case heartbeatFrame:
      return size === 0
    default:
      return false
  }
}

/** A method frame where one may come, but not this one, or not with these octets. */
const methodFault = (error: FrameError, offence: Offence): Goodbye | undefined => {
  const { channel, octets } = offence
  const ids = { classId: short(octets, 0), methodId: short(octets, 2) }
  switch (error.reason) {
    // RabbitMQ hangs up.
    case "UnknownMethod":
      return undefined
    case "Command":
    case "Channel":
      break
    default:
      return frameError(`cannot decode ${octetsOf(octets.subarray(shortestMethod))}`, ids)
  }
  if (channel === 0) {
    return goodbye(Method.ReplyCode.channelError, "unexpected method in connection state running", ids)
  }
  if (ids.classId === channelOpen.classId && ids.methodId === channelOpen.methodId && offence.isChannelOpen) {
    return goodbye(Method.ReplyCode.channelError, "second 'channel.open' seen", ids)
  }
  if (!offence.isChannelOpen) {
    return goodbye(Method.ReplyCode.channelError, "expected 'channel.open'", ids)
  }
  return goodbye(Method.ReplyCode.commandInvalid, "unimplemented method", ids)
}

const headerFault = ({ octets, type }: Offence): Goodbye | undefined => {
  const classId = short(octets, 0)
  if (type !== headerFrame || short(octets, 2) !== 0) {
    return unexpected(`expected content header for class ${basicClass}, got non content header frame instead`, publish)
  }
  if (classId === basicClass) return undefined
  return unexpected(`expected content header for class ${basicClass}, got one for class ${classId} instead`, publish)
}

/** @internal */
export const goodbyeFor = (error: FrameError, offence: Offence | undefined): Goodbye | undefined => {
  if (offence === undefined || !offence.isOpen) return undefined
  const { channel, size, type } = offence
  if (size > offence.frameMax) {
    return frameError(
      `type ${type}, all octets = <<>>: {frame_too_large,${size},${offence.frameMax - Frame.envelopeSize}}`
    )
  }
  if (error.reason === "FrameEnd") {
    return frameError(`type ${type}, ${snippet(offence)}: {invalid_frame_end_marker,${offence.end ?? 0}}`)
  }
  if (!isWellFormed(offence)) return frameError(`type ${type}, ${snippet(offence)}: unknown_frame`)
  if (channel === 0 ? type !== methodFrame : type === heartbeatFrame) {
    return unexpected(`type ${type}, ${snippet(offence)}`)
  }
  if (channel !== 0 && !offence.isChannelOpen && offence.channels >= offence.channelMax) {
    return goodbye(
      Method.ReplyCode.notAllowed,
      `number of channels opened (${offence.channels}) has reached the negotiated channel_max (${offence.channelMax})`
    )
  }
  switch (offence.awaits) {
    case "method":
      return type === methodFrame
        ? methodFault(error, offence)
        : unexpected("expected method frame, got non method frame instead")
    case "header":
      return headerFault(offence)
    case "body":
      return type === bodyFrame
        ? undefined
        : unexpected("expected content body, got non content body frame instead", publish)
  }
}
