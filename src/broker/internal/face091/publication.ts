/**
 * A message as a client published it, and as it is kept: there may be millions, so what its properties say is read when
 * somebody asks.
 *
 * @since 0.1.0
 */
import type { RawProperties } from "../../../amqp091/internal/rawProperties.ts"
import { ReplyCode } from "../../../amqp091/Method.ts"
import type { Message } from "../../Model.ts"
import { longest } from "../longest.ts"
import type { Content } from "./content.ts"
import type { Fault } from "./refusals.ts"
import { fault } from "./refusals.ts"

/** @internal */
export class Publication implements Message<Content>, Content {
  readonly exchange: string
  readonly routingKey: string
  readonly properties: RawProperties
  readonly size: number
  readonly furtherKeys: ReadonlyArray<string> | undefined
  private readonly buffer: ArrayBufferLike
  private readonly start: number

  constructor(
    exchange: string,
    routingKey: string,
    properties: RawProperties,
    body: Uint8Array,
    furtherKeys?: ReadonlyArray<string>
  ) {
    this.exchange = exchange
    this.routingKey = routingKey
    this.properties = properties
    // A view costs as much as a body of a hundred octets: it is made again for who asks.
    this.buffer = body.buffer
    this.start = body.byteOffset
    this.size = body.length
    this.furtherKeys = furtherKeys
  }

  get content(): Content {
    return this
  }

  get body(): Uint8Array {
    return new Uint8Array(this.buffer, this.start, this.size)
  }

  get persistent(): boolean {
    return this.properties.decoded.deliveryMode === 2
  }

  get priority(): number | undefined {
    return this.properties.decoded.priority
  }

  get expiration(): number | undefined {
    const { expiration } = this.properties.decoded
    return expiration === undefined ? undefined : Number(expiration)
  }
}

/** What RabbitMQ has against an expiration, if anything: it reads as much as is a number. @internal */
export const expirationFault = ({ decoded: { expiration } }: RawProperties): Fault | undefined => {
  if (expiration === undefined) return undefined
  const invalid = (why: string) => fault(ReplyCode.preconditionFailed, `invalid expiration '${expiration}': ${why}`)
  const [digits] = /^[+-]?[0-9]+/.exec(expiration) ?? []
  if (digits === undefined) return invalid("no_integer")
  if (digits.length < expiration.length) return invalid(`{leftover_string,"${expiration.slice(digits.length)}"}`)
  const value = Number(digits)
  if (value < 0) return invalid(`{value_negative,${value}}`)
  return value > longest ? invalid(`{value_too_large,${BigInt(digits)}}`) : undefined
}
