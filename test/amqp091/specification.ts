/** What the specification's XML says, read just far enough to compare. */
import { readFileSync } from "node:fs"

interface SpecifiedField {
  readonly name: string
  readonly type: string
  readonly reserved: boolean
}

interface SpecifiedMethod {
  readonly name: string
  readonly classId: number
  readonly methodId: number
  readonly content: boolean
  readonly synchronous: boolean
  readonly deprecated: boolean
  readonly to: "client" | "server" | "both"
  readonly replies: ReadonlyArray<string>
  readonly fields: ReadonlyArray<SpecifiedField>
}

const attributesOf = (text: string): Record<string, string> =>
  Object.fromEntries([...text.matchAll(/([a-z-]+)="([^"]*)"/g)].map(([, name, value]) => [name!, value!]))

export const readSpecification = () => {
  const text = readFileSync(new URL("../specs/amqp0-9-1.extended.xml", import.meta.url), "utf8")
    .replaceAll(/<!--[^]*?-->/g, "")
  const domains = new Map<string, string>()
  const methods: Array<SpecifiedMethod> = []
  const properties: Array<SpecifiedField> = []
  const replyCodes: Array<{ readonly name: string; readonly code: number; readonly hard: boolean }> = []
  let inClass: { readonly name: string; readonly id: number } | undefined
  let method: Record<string, string> | undefined
  let fields: Array<SpecifiedField> = []
  let replies: Array<string> = []
  let takers: Array<string> = []
  const endMethod = () => {
    if (method === undefined || inClass === undefined) return
    methods.push({
      name: `${inClass.name}.${method["name"]}`,
      classId: inClass.id,
      methodId: Number(method["index"]),
      content: method["content"] === "1",
      synchronous: method["synchronous"] === "1",
      deprecated: method["deprecated"] === "1",
      to: takers.length === 2 ? "both" : takers[0] === "client" ? "client" : "server",
      replies: replies.map((reply) => `${inClass?.name}.${reply}`),
      fields
    })
    method = undefined
  }
  for (const [, closing, element, rest] of text.matchAll(/<(\/?)([a-z]+)\b([^>]*)>/g)) {
    const attributes = attributesOf(rest!)
    const name = attributes["name"] ?? ""
    if (closing === "/") {
      if (element === "method") endMethod()
      continue
    }
    if (
      element === "constant" && !name.startsWith("frame-m") && Number(attributes["value"]) >= 200 &&
      name !== "frame-end"
    ) {
      replyCodes.push({ name, code: Number(attributes["value"]), hard: attributes["class"] === "hard-error" })
    } else if (element === "domain") domains.set(name, attributes["type"]!)
    else if (element === "class") inClass = { name, id: Number(attributes["index"]) }
    else if (element === "method") {
      method = attributes
      fields = []
      replies = []
      takers = []
      if (rest!.endsWith("/")) endMethod()
    } else if (element === "response") replies.push(name)
    else if (element === "chassis" && method !== undefined) takers.push(name)
    else if (element === "field") {
      const domain = attributes["domain"] ?? attributes["type"]!
      const field = { name, type: domains.get(domain) ?? domain, reserved: attributes["reserved"] === "1" }
      if (method === undefined) properties.push(field)
      else fields.push(field)
    }
  }
  return { methods, properties, replyCodes }
}
