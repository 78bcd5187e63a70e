/**
 * What is sent under chaos: an id three times over, so that a flipped bit is seen and its message known all the same.
 * The checksum of TCP does not see what a proxy does.
 */

const digits = 12

export const encode = (id: number): string => String(id).padStart(digits, "0").repeat(3)

export interface Decoded {
  /** `undefined` where no two of the three agree. */
  readonly id: number | undefined
  readonly isIntact: boolean
}

export const decode = (content: Uint8Array): Decoded => {
  const text = Buffer.from(content).toString("latin1")
  const copies = [0, 1, 2].map((copy) => text.slice(copy * digits, (copy + 1) * digits))
  const [first, second, third] = copies
  const agreed = first === second || first === third ? first : second === third ? second : undefined
  return {
    id: agreed !== undefined && /^\d{12}$/.test(agreed) ? Number(agreed) : undefined,
    isIntact: agreed !== undefined && text === agreed.repeat(3) && /^\d{12}$/.test(agreed)
  }
}

/** Where a consumer takes what was received. */
export interface Receipts {
  /** Intact. `redelivered`: the broker has handed out this copy before. */
  readonly received: (id: number, redelivered: boolean) => void
  /** Damaged on its way to here: the broker has it intact. */
  readonly damaged: () => void
  /** The broker has it damaged. */
  readonly spoilt: (id: number | undefined) => void
}

/**
 * Takes deliveries; what it answers says whether to acknowledge. What is damaged is asked for again, once: what comes in
 * the same shape a second time was damaged on its way to the broker.
 */
export const makeReceiver = (receipts: Receipts): (content: Uint8Array, redelivered: boolean) => boolean => {
  const strange = new Set<string>()
  return (content, redelivered) => {
    const { id, isIntact } = decode(content)
    if (isIntact && id !== undefined) {
      receipts.received(id, redelivered)
      return true
    }
    const shape = Buffer.from(content).toString("latin1")
    if (strange.has(shape)) {
      receipts.spoilt(id)
      return true
    }
    strange.add(shape)
    receipts.damaged()
    return false
  }
}
