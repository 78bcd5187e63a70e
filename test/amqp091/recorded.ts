/** The frames that `test/fixtures/frames/record.ts` recorded. */
import { readFileSync } from "node:fs"
import { unhex } from "../wire/bytes.ts"

const lines = readFileSync(new URL("../fixtures/frames/recorded.txt", import.meta.url), "utf8").trimEnd().split("\n")

/** Each whole frame, with its envelope, and who sent it. `methodId` is of method frames alone. */
export const recorded = lines.map((line) => {
  const [by, hex] = line.split("\t")
  const bytes = unhex(hex!)
  const view = new DataView(bytes.buffer)
  const type = view.getUint8(0)
  return { by: by!, bytes, frame: { type, classId: view.getUint16(7), methodId: view.getUint16(9) } }
})
