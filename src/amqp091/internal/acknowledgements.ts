/**
 * basic.ack on its way out: what a turn acknowledges in order is one frame, because an acknowledgement that nothing has
 * followed yet is extended where it lies.
 *
 * @since 0.1.0
 */
import type { Output } from "../../internal/output.ts"
import * as Frame from "../Frame.ts"

/** @internal */
export class Acknowledgements {
  private readonly output: Output
  /** The one that was sent last: its channel and tag, its name in the output, and where it begins there. */
  private channel = 0
  private tag = 0
  private latest = -1
  private at = 0

  constructor(output: Output) {
    this.output = output
  }

  /**
   * `prefix`: nothing up to this tag is unsettled any more; then it may take the place of the one before, unless that is
   * of a later tag.
   */
  send(channel: number, deliveryTag: number, multiple: boolean, prefix: boolean): void {
    const { output } = this
    const covers = prefix && channel === this.channel && deliveryTag > this.tag
    const last = covers ? output.amend(this.latest) : undefined
    this.tag = deliveryTag
    if (last !== undefined) return Frame.extendAck(last, this.at, deliveryTag)
    const writer = output.begin(channel)
    this.at = writer.length
    Frame.encodeMethod(writer, channel, { _tag: "BasicAck", deliveryTag, multiple })
    output.commit()
    this.channel = channel
    this.latest = output.latest
  }
}
