/**
 * TLS options under their many names: pika's `ssl_options`, kombu's `ssl` and `ssl_*`, RabbitMQ's and Erlang's
 * `cacertfile` and company. All of them end in one `TlsOptions`.
 *
 * @since 0.1.0
 */
import * as Redacted from "effect/Redacted"
import type { Pem, TlsOptions } from "../../Transport.ts"
import { fail, parseJson, quote, unknownName } from "./connectionOptionsFault.ts"
import { same } from "./connectionOptionsKinds.ts"

type Writable<A> = { -readonly [K in keyof A]: A[K] }

// --- As options ---

const isPem = (value: unknown): value is Pem =>
  typeof value === "object" && value !== null &&
  (("file" in value && typeof value.file === "string" && value.file !== "") ||
    ("pem" in value && Redacted.isRedacted(value.pem)))

const checks: { readonly [K in keyof Required<TlsOptions>]: (value: unknown) => boolean } = {
  ca: (value) => Array.isArray(value) && value.length > 0 && value.every(isPem), // none: nobody to trust
  caPath: (value) => typeof value === "string" && value !== "",
  cert: isPem,
  key: isPem,
  passphrase: Redacted.isRedacted,
  verify: (value) => typeof value === "boolean",
  checkHostname: (value) => typeof value === "boolean",
  serverName: (value) => value === null || (typeof value === "string" && value !== ""),
  ciphers: (value) => typeof value === "string" && value !== "",
  minVersion: (value) => value === "TLSv1.2" || value === "TLSv1.3"
}

const keys = Object.keys(checks) as ReadonlyArray<keyof TlsOptions> // the mapped type has these keys only

/** One form for what means the same, so that equal options are equal values. */
const normalize = (parameter: string, tls: TlsOptions): TlsOptions => {
  if ((tls.cert === undefined) !== (tls.key === undefined)) {
    fail("Contradiction", parameter, "a client certificate needs both certfile and keyfile")
  }
  if (tls.passphrase !== undefined && tls.key === undefined) {
    fail("Value", parameter, "password is that of the key, and keyfile is missing; a user's stands before the host")
  }
  const verify = tls.verify ?? true
  const normal: Writable<TlsOptions> = { ...tls }
  if (verify) delete normal.verify
  if (tls.checkHostname === verify) delete normal.checkHostname
  if (tls.passphrase !== undefined && Redacted.value(tls.passphrase) === "") delete normal.passphrase
  if (tls.ca !== undefined) {
    normal.ca = [...tls.ca.filter((pem) => "file" in pem), ...tls.ca.filter((pem) => !("file" in pem))]
  }
  return Object.fromEntries(Object.entries(normal).filter(([, value]) => value !== undefined))
}

/** @internal */
export const checkTls = (parameter: string, value: unknown): TlsOptions => {
  if (typeof value !== "object" || value === null) return fail("Value", parameter, "must be an object, true or false")
  for (const [key, entry] of Object.entries(value)) {
    const known = keys.find((name) => name === key)
    if (known === undefined) unknownName(parameter, key, keys)
    else if (entry !== undefined && !checks[known](entry)) {
      fail("Value", `${parameter}.${known}`, "is not of the allowed form")
    }
  }
  return normalize(parameter, value)
}

// --- In a URL ---

/** Files and data are two sources of one list of authorities, not two statements about it. */
interface Said extends Writable<Omit<TlsOptions, "ca">> {
  caFiles?: ReadonlyArray<Pem>
  caData?: ReadonlyArray<Pem>
}

/** What a URL has said about TLS so far, and which name said it. @internal */
export interface Slots {
  readonly tls: Said
  readonly saidBy: Map<string, string>
  readonly warnings: Array<string>
  switch: { readonly on: boolean; readonly saidBy: string } | undefined
}

/** @internal */
export const noTls = (): Slots => ({ tls: {}, saidBy: new Map(), warnings: [], switch: undefined })

const set = <K extends keyof Said>(slots: Slots, name: string, key: K, value: Said[K]): void => {
  const before = slots.saidBy.get(key)
  if (before !== undefined && !same(slots.tls[key], value)) fail("Contradiction", name, `contradicts ${before}`)
  slots.tls[key] = value
  slots.saidBy.set(key, name)
}

const marker = "-----BEGIN"

const pemOf = (text: string): Pem => text.startsWith(marker) ? { pem: Redacted.make(text) } : { file: text }

const asText = (name: string, value: unknown): string =>
  typeof value === "string" && value !== "" ? value : fail("Value", name, "must be a text")

const asTexts = (name: string, value: unknown): ReadonlyArray<string> =>
  Array.isArray(value) ? value.map((entry) => asText(name, entry)) : [asText(name, value)]

const asBoolean = (name: string, value: unknown): boolean =>
  value === true || value === "true" || value === "1" || value === 1 ?
    true :
    value === false || value === "false" || value === "0" || value === 0 ?
    false :
    fail("Value", name, `${quote(value)} not true or false`)

const readProtocol = (name: string, value: unknown): TlsOptions["minVersion"] => {
  switch (value) {
    case "TLSv1.2":
    case "PROTOCOL_TLSv1_2":
      return "TLSv1.2"
    case "TLSv1.3":
    case "PROTOCOL_TLSv1_3":
      return "TLSv1.3"
    case "PROTOCOL_TLS":
    case "PROTOCOL_TLS_CLIENT":
      return undefined
    default:
      return fail("Value", name, `${quote(value)} not one of TLSv1.2, TLSv1.3`)
  }
}

const readCertReqs = (name: string, value: unknown): boolean => {
  switch (typeof value === "string" ? value.toUpperCase().replace(/^CERT_/, "") : value) {
    case "REQUIRED":
    case "OPTIONAL": // of a client, Python's ssl checks either way
    case 1:
    case 2:
      return true
    case "NONE":
    case 0:
      return false
    default:
      return fail("Value", name, `${quote(value)} not one of CERT_REQUIRED, CERT_OPTIONAL, CERT_NONE`)
  }
}

/** The keys of `ssl_options`, which are also kombu's `ssl_*`. */
const sslKeys = [
  "ca_certs",
  "cafile",
  "ca_path",
  "capath",
  "ca_data",
  "cadata",
  "certfile",
  "keyfile",
  "password",
  "ciphers",
  "protocol",
  "server_hostname",
  "cert_reqs",
  "check_hostname"
] as const

const readSslKey = (slots: Slots, name: string, key: string, value: unknown): void => {
  // Python's None: nothing is said.
  if (value === null && sslKeys.some((known) => known === key)) return
  switch (key) {
    case "ca_certs":
    case "cafile":
      return set(slots, name, "caFiles", asTexts(name, value).map(pemOf))
    case "ca_data":
    case "cadata":
      return set(slots, name, "caData", asTexts(name, value).map((text) => ({ pem: Redacted.make(text) })))
    case "ca_path":
    case "capath":
      return set(slots, name, "caPath", asText(name, value))
    case "certfile":
      return set(slots, name, "cert", pemOf(asText(name, value)))
    case "keyfile":
      return set(slots, name, "key", pemOf(asText(name, value)))
    case "password":
      return set(slots, name, "passphrase", Redacted.make(asText(name, value)))
    case "ciphers":
      return set(slots, name, "ciphers", asText(name, value))
    case "protocol":
      return set(slots, name, "minVersion", readProtocol(name, value))
    case "server_hostname":
      return set(slots, name, "serverName", asText(name, value))
    case "cert_reqs":
      return set(slots, name, "verify", readCertReqs(name, value))
    case "check_hostname":
      return set(slots, name, "checkHostname", asBoolean(name, value))
    default:
      return unknownName(name.replace(/\..*/s, ""), key, sslKeys)
  }
}

const turn = (slots: Slots, name: string, on: boolean): void => {
  if (slots.switch !== undefined && slots.switch.on !== on) {
    fail("Contradiction", name, `contradicts ${slots.switch.saidBy}`)
  }
  slots.switch = { on, saidBy: name }
}

/** `ssl_options`, and kombu's `ssl`, which may also be a bool. */
const readWhole = (slots: Slots, name: string, text: string): void => {
  if (name === "ssl" && /^(true|false|1|0)$/.test(text)) return turn(slots, name, asBoolean(name, text))
  const value = parseJson(name, text)
  if (value === null) return turn(slots, name, false)
  if (typeof value !== "object" || Array.isArray(value)) {
    return fail("Value", name, `must be a JSON object or null${name === "ssl" ? ", true or false" : ""}`)
  }
  turn(slots, name, true)
  for (const [key, entry] of Object.entries(value)) readSslKey(slots, `${name}.${key}`, key, entry)
}

/**
 * A reader for each name, which is told the name as it was written.
 *
 * @internal
 */
export const tlsReaders: { readonly [name: string]: ((slots: Slots, name: string, text: string) => void) | undefined } =
  {
    ssl_options: readWhole,
    ssl: readWhole,
    cacertfile: (slots, name, text) => readSslKey(slots, name, "ca_certs", text),
    certfile: (slots, name, text) => readSslKey(slots, name, "certfile", text),
    keyfile: (slots, name, text) => readSslKey(slots, name, "keyfile", text),
    password: (slots, name, text) => readSslKey(slots, name, "password", text),
    verify: (slots, name, text) =>
      text === "verify_peer" || text === "verify_none" ?
        set(slots, name, "verify", text === "verify_peer") :
        fail("Value", name, `${quote(text)} not one of verify_peer, verify_none`),
    server_name_indication: (slots, name, text) => set(slots, name, "serverName", text === "disable" ? null : text),
    insecure: (slots, name, text) => set(slots, name, "verify", !asBoolean(name, text)),
    depth: (slots, name, text) => {
      if (!/^\d{1,3}$/.test(text)) fail("Value", name, `${quote(text)} not a whole number`)
      turn(slots, name, true)
      slots.warnings.push("depth: has no effect, the whole chain is verified")
    },
    fail_if_no_peer_cert: (slots, name, text) => {
      asBoolean(name, text)
      turn(slots, name, true)
      slots.warnings.push("fail_if_no_peer_cert: has no effect, a server always shows a certificate")
    },
    ...Object.fromEntries(sslKeys.map((key) => [
      `ssl_${key}`,
      (slots: Slots, name: string, text: string) => readSslKey(slots, name, key, text)
    ]))
  }

/**
 * The TLS a URL asks for: `undefined` where nothing was said, `null` where it was turned off.
 *
 * @internal
 */
export const completeTls = (scheme: string, slots: Slots): TlsOptions | null | undefined => {
  const [option] = slots.saidBy.values()
  if (slots.switch?.on === false) {
    const { saidBy } = slots.switch
    if (scheme === "amqps") {
      fail("Contradiction", saidBy, "turns TLS off in an amqps: URL; write amqp: for a plain connection")
    }
    if (option !== undefined) fail("Contradiction", saidBy, `turns TLS off, and ${option} is given`)
    return null
  }
  if (slots.switch === undefined && option === undefined) return undefined
  const { caData = [], caFiles = [], ...tls } = slots.tls
  const ca = [...caFiles, ...caData]
  return normalize(option ?? "ssl_options", ca.length === 0 ? tls : { ...tls, ca })
}

/**
 * The TLS of options as query pairs. `onUnprintable` decides where `certfile` and its like, which tell PEM from a path
 * by its first characters, would read back as the other.
 *
 * @internal
 */
export const printTls = (
  tls: TlsOptions,
  onUnprintable: (parameter: string, text: string) => string
): ReadonlyArray<readonly [name: string, value: string]> => {
  const pemText = (name: string, pem: Pem): string => {
    const text = "file" in pem ? pem.file : Redacted.value(pem.pem)
    return text.startsWith(marker) === "file" in pem ? onUnprintable(name, `in a URL, PEM starts with ${marker}`) : text
  }
  const files = tls.ca?.flatMap((pem) => "file" in pem ? [pem.file] : []) ?? []
  const pems = tls.ca?.flatMap((pem) => "file" in pem ? [] : [Redacted.value(pem.pem)]) ?? []
  const [ca, ...others] = [...files, ...pems]
  // Several authorities, PEM that does not start as PEM does, and a host called "disable" have no flat name.
  const isFlat = others.length === 0 && (files.length === 1 || ca?.startsWith(marker) === true)
  if (files.some((file) => file.startsWith(marker))) onUnprintable("cacertfile", `in a URL, PEM starts with ${marker}`)
  const whole = {
    ...(isFlat || files.length === 0 ? {} : { ca_certs: files }),
    ...(isFlat || pems.length === 0 ? {} : { ca_data: pems }),
    ...(tls.serverName === "disable" ? { server_hostname: "disable" } : {})
  }
  const pairs: ReadonlyArray<readonly [string, string | undefined]> = [
    ["cacertfile", isFlat ? ca : undefined],
    ["certfile", tls.cert === undefined ? undefined : pemText("certfile", tls.cert)],
    ["keyfile", tls.key === undefined ? undefined : pemText("keyfile", tls.key)],
    ["password", tls.passphrase === undefined ? undefined : Redacted.value(tls.passphrase)],
    ["verify", tls.verify === false ? "verify_none" : undefined],
    [
      "server_name_indication",
      tls.serverName === null ? "disable" : tls.serverName === "disable" ? undefined : tls.serverName
    ],
    ["ssl_ca_path", tls.caPath],
    ["ssl_check_hostname", tls.checkHostname === undefined ? undefined : String(tls.checkHostname)],
    ["ssl_ciphers", tls.ciphers],
    ["ssl_protocol", tls.minVersion],
    ["ssl_options", Object.keys(whole).length === 0 ? undefined : JSON.stringify(whole)]
  ]
  return pairs.flatMap(([name, value]) => value === undefined ? [] : [[name, value] as const])
}
