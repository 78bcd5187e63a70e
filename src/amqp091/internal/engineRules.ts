/**
 * What 0-9-1 lets a peer send when, and the reply code of each way to break it. Tables and pure functions; the state they
 * are asked about is the engine's.
 *
 * @since 0.1.0
 */
import type { FrameError } from "../../AmqpError.ts"
import * as Method from "../Method.ts"

/** @internal */
export type Role = "client" | "server"

type Tag = Method.Method["_tag"]

/** What may come on channel 0 before the connection is open, by what was sent last. @internal */
export const expected: Record<Role, Record<string, ReadonlyArray<Tag>>> = {
  client: {
    header: ["ConnectionStart"],
    startOk: ["ConnectionSecure", "ConnectionTune"],
    tuneOk: ["ConnectionOpenOk"]
  },
  server: {
    start: ["ConnectionStartOk"],
    secure: ["ConnectionSecureOk"],
    tune: ["ConnectionTuneOk"],
    tuned: ["ConnectionOpen"]
  }
}

const anytime: ReadonlySet<Tag> = new Set([
  "ConnectionBlocked",
  "ConnectionUnblocked",
  "ConnectionUpdateSecret",
  "ConnectionUpdateSecretOk"
])

/** @internal */
export const connectionClass = 10

/** What an open connection may be sent, by role: the other side's methods are `command-invalid` (0-9-1 §4.2.4). */
const acceptableTo = (role: Role): ReadonlySet<string> =>
  new Set(
    Method.definitions
      .filter(({ classId, tag, to }) =>
        (to === role || to === "both") && (classId !== connectionClass || anytime.has(tag))
      )
      .map(({ tag }) => tag)
  )

/** What an open connection may be sent, by role. @internal */
export const acceptable: Record<Role, ReadonlySet<string>> = {
  client: acceptableTo("client"),
  server: acceptableTo("server")
}

/** @internal */
export const channelClass = 20

// The numbers of close; those of close-ok are one more (0-9-1 §1.4.2.9, §1.5.2.5).
/** @internal */
export const connectionClose = 50
/** @internal */
export const channelClose = 40

/** Whether a method frame's payload is close or close-ok, without decoding it: what is dropped may be malformed. @internal */
export const isGoodbye = (bytes: Uint8Array, start: number, end: number, classId: number, close: number): boolean =>
  end - start >= 4 && bytes[start] === 0 && bytes[start + 1] === classId && bytes[start + 2] === 0 &&
  (bytes[start + 3] === close || bytes[start + 3] === close + 1)

const utf8Size = (code: number): number => code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4

/** As much of a text as a goodbye can carry: 255 octets, no half characters. @internal */
export const replyTextOf = (text: string): string => {
  let size = 0
  let kept = ""
  for (const character of text) {
    const code = character.codePointAt(0) ?? 0
    const whole = code >= 0xd800 && code <= 0xdfff ? "\ufffd" : character
    size += utf8Size(code)
    if (size > 255) break
    kept += whole
  }
  return kept
}

/** The specification's reply code for each kind of bad input (0-9-1 §1.7 "constants"). @internal */
export const replyCodeOf = (fault: FrameError): number => {
  switch (fault.reason) {
    case "FrameEnd":
    case "FrameType":
    case "FrameSize":
      return Method.ReplyCode.frameError
    case "UnknownMethod":
      return Method.ReplyCode.notImplemented
    case "Command":
      return Method.ReplyCode.commandInvalid
    case "Channel":
      return Method.ReplyCode.channelError
    case "Unexpected":
    case "BodySize":
      return Method.ReplyCode.unexpectedFrame
    case "MessageSize":
      return Method.ReplyCode.resourceError
    default:
      return Method.ReplyCode.syntaxError
  }
}
