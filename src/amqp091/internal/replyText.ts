/**
 * RabbitMQ's reply texts as structure. The text itself is always kept beside: what is not recognised has no details.
 *
 * @since 0.1.0
 */
import type { ChannelDetails } from "../../AmqpError.ts"

type Read = (groups: { readonly [name: string]: string }) => ChannelDetails

// As RabbitMQ 3.10 to 4.x word them; names may hold anything, so that patterns anchor on the words around them.
const patterns: ReadonlyArray<readonly [RegExp, Read]> = [
  [
    /inequivalent arg '(?<argument>[^']+)' for (?<kind>queue|exchange) '(?<name>.*)' in vhost '(?<vhost>.*)': received (?<received>.*) but current is (?<current>.*)$/s,
    ({ argument = "", current = "", kind, name = "", received = "", vhost = "" }) => ({
      _tag: "Inequivalent",
      kind: kind === "exchange" ? "exchange" : "queue",
      name,
      vhost,
      argument,
      received: unquoted(received),
      current: unquoted(current)
    })
  ],
  [
    /no (?<kind>queue|exchange) '(?<name>.*)' in vhost '(?<vhost>.*)'/s,
    ({ kind, name = "", vhost = "" }) => ({
      _tag: "Missing",
      kind: kind === "exchange" ? "exchange" : "queue",
      name,
      vhost
    })
  ],
  [
    /locked queue '(?<name>.*)' in vhost '(?<vhost>[^']*)'/s,
    ({ name = "", vhost = "" }) => ({ _tag: "Locked", name, vhost })
  ],
  [
    /(?<kind>queue|exchange) '(?<name>.*)' in vhost '(?<vhost>.*)' (?<state>in use|(?:is )?not empty|in exclusive use)/s,
    ({ kind, name = "", state = "", vhost = "" }) => ({
      _tag: state.endsWith("empty") ? "NotEmpty" : "InUse",
      kind: kind === "exchange" ? "exchange" : "queue",
      name,
      vhost
    })
  ],
  [
    /unknown delivery tag (?<tag>\d+)/,
    ({ tag }) => ({ _tag: "UnknownDeliveryTag", deliveryTag: Number(tag) })
  ],
  [
    /delivery acknowledgement on channel \d+ timed out\. Timeout value used: (?<millis>\d+) ms/,
    ({ millis }) => ({ _tag: "AckTimeout", milliseconds: Number(millis) })
  ],
  [
    /message size (?<size>\d+) is larger than (?:configured )?max size (?<limit>\d+)/,
    ({ limit, size }) => ({ _tag: "MessageTooLarge", size: Number(size), limit: Number(limit) })
  ],
  [
    /access to (?<kind>queue|exchange|topic|vhost) '(?<name>.*?)'.* refused for user '(?<user>.*)'/s,
    ({ kind = "", name = "", user = "" }) => ({ _tag: "PermissionDenied", kind, name, user })
  ]
]

/** `'true'` is a declaration's own field, `the value '5' of type 'signedint'` an argument, `none` an absent one. */
const unquoted = (text: string): string | undefined => {
  if (text === "none") return undefined
  return /^the value '(.*)' of type '[^']*'$/s.exec(text)?.[1] ?? /^'(.*)'$/s.exec(text)?.[1] ?? text
}

/** @internal */
export const parse = (text: string): ChannelDetails | undefined => {
  for (const [pattern, read] of patterns) {
    const groups = pattern.exec(text)?.groups
    if (groups !== undefined) return read(groups)
  }
  return undefined
}
