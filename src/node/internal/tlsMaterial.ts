/**
 * From `TlsOptions` to what Node's TLS wants: PEM files read, what cannot be used refused with a text that says which.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import * as Crypto from "node:crypto"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import type * as Tls from "node:tls"
import type { Pem, TlsOptions } from "../../Transport.ts"
import { toError, wordsOf } from "./systemError.ts"

/**
 * TLS options that cannot be used as they are given; `text` holds no key and no passphrase.
 *
 * @internal
 */
export class UnusableTls extends Data.TaggedError("UnusableTls")<{ readonly text: string }> {}

/** @internal */
export const unusable = (what: string) => (cause: unknown): UnusableTls =>
  new UnusableTls({ text: `${what}: ${wordsOf(toError(cause))}` })

/** Reads and has `check` throw at what it cannot use: Node alone would name neither the file nor the fault. */
const readPem = (what: string, pem: Pem, check: (bytes: Buffer) => string): Effect.Effect<string, UnusableTls> => {
  const name = "file" in pem ? `${what} ${pem.file}` : what
  const bytes = "file" in pem ?
    Effect.tryPromise({
      try: (signal) => Fs.readFile(pem.file, { signal }),
      catch: unusable(`the ${what} cannot be read`)
    }) :
    Effect.succeed(Buffer.from(Redacted.value(pem.pem)))
  return Effect.flatMap(
    bytes,
    (bytes) => Effect.try({ try: () => check(bytes), catch: unusable(`the ${name} cannot be used`) })
  )
}

/** One or several certificates in PEM, as they are; one in DER, which `.cer` files often hold, as PEM. */
const asCertificates = (bytes: Buffer): string => {
  const certificate = new Crypto.X509Certificate(bytes)
  const text = bytes.toString("utf8")
  return text.includes("-----BEGIN") ? text : certificate.toString()
}

const asKey = (passphrase: string | undefined) => (bytes: Buffer): string => {
  const text = bytes.toString("utf8")
  try {
    Crypto.createPrivateKey({ key: bytes, passphrase })
  } catch (cause) {
    // One wrong passphrase in some hundred decrypts to what is padded as it should be, and only then is no key.
    if (passphrase === undefined || !text.includes("ENCRYPTED")) throw cause
    throw new Error("it is encrypted, and the passphrase is wrong", { cause })
  }
  return text
}

const readFolder = (folder: string): Effect.Effect<ReadonlyArray<string>, UnusableTls> =>
  Effect.gen(function*() {
    const names = yield* Effect.tryPromise({
      try: () => Fs.readdir(folder),
      catch: unusable("the folder of certificate authorities cannot be read")
    })
    const files = names.filter((name) => /\.(pem|crt|cer)$/i.test(name)).map((name) => Path.join(folder, name))
    if (files.length === 0) {
      return yield* new UnusableTls({ text: `${folder} has no .pem, .crt or .cer file` })
    }
    return yield* Effect.forEach(files, (file) => readPem("authority", { file }, asCertificates))
  })

/**
 * The files are read at each call, so that renewed certificates are seen.
 *
 * @internal
 */
export const readTlsMaterial = (options: TlsOptions): Effect.Effect<Tls.SecureContextOptions, UnusableTls> =>
  Effect.gen(function*() {
    if (options.cert !== undefined && options.key === undefined) {
      return yield* new UnusableTls({ text: "a certificate is given without its key" })
    }
    if (options.key !== undefined && options.cert === undefined) {
      return yield* new UnusableTls({ text: "a key is given without its certificate" })
    }
    const passphrase = options.passphrase && Redacted.value(options.passphrase)
    const given = yield* Effect.forEach(options.ca ?? [], (pem) => readPem("authority", pem, asCertificates))
    const found = options.caPath === undefined ? [] : yield* readFolder(options.caPath)
    return {
      ca: options.ca === undefined && options.caPath === undefined ? undefined : [...given, ...found],
      cert: options.cert && (yield* readPem("certificate", options.cert, asCertificates)),
      key: options.key && (yield* readPem("key", options.key, asKey(passphrase))),
      passphrase,
      ciphers: options.ciphers,
      minVersion: options.minVersion
    }
  })
