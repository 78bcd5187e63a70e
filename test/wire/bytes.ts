/** Bytes as hex, and the fault that a call throws. */
import { FrameError } from "../../src/AmqpError.ts"

export const hex = (bytes: Uint8Array): string =>
  Array.from(bytes, (octet) => octet.toString(16).padStart(2, "0")).join("")

export const unhex = (text: string): Uint8Array =>
  Uint8Array.from(text.match(/[0-9a-f]{2}/g) ?? [], (octet) => Number.parseInt(octet, 16))

/** What `run` throws, which must be a FrameError. */
export const fault = (run: () => unknown): FrameError => {
  try {
    run()
  } catch (error) {
    if (error instanceof FrameError) return error
    throw error
  }
  throw new Error("nothing was thrown")
}
