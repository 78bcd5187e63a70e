/** The frames that `test/fixtures/frames/record.ts` recorded. */
import { readFileSync } from "node:fs"
import { unhex } from "../wire/bytes.ts"

interface RecordedFrame {
  readonly by: string
  readonly type: number
  readonly classId: number
  readonly methodId: number
  readonly hex: string
}

const read = (): ReadonlyArray<RecordedFrame> =>
  JSON.parse(readFileSync(new URL("../fixtures/frames/recorded.json", import.meta.url), "utf8"))

/** Each whole frame, with its envelope. */
export const recorded = read().map((frame) => ({ frame, by: frame.by, bytes: unhex(frame.hex) }))
