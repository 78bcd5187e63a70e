/**
 * A certificate authority and what it signed, made by the openssl command line in a folder that the scope removes.
 * Names: `localhost` and `127.0.0.1` for the server, `client` for the client.
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as ChildProcess from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"

export interface Certificate {
  readonly cert: string
  readonly key: string
}

/** Every field is the path of a PEM file. */
export interface Certificates {
  readonly folder: string
  readonly ca: string
  readonly server: Certificate
  readonly client: Certificate
  /** The key of `client`, encrypted with `passphrase`. */
  readonly encryptedClientKey: string
  readonly passphrase: string
  /** By the same authority, for `elsewhere.example`. */
  readonly misnamed: Certificate
  /** By the same authority, for `localhost`, no longer valid. */
  readonly expired: Certificate
  /** Of an authority of its own, with what it signed for `localhost`. */
  readonly strangerCa: string
  readonly stranger: Certificate
}

const passphrase = "correct horse"

const make = (folder: string): Certificates => {
  const at = (name: string) => Path.join(folder, name)
  const openssl = (args: ReadonlyArray<string>): void => {
    ChildProcess.execFileSync("openssl", args, { cwd: folder, stdio: ["ignore", "pipe", "pipe"] })
  }
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]

  const authority = (name: string): string => {
    const cert = at(`${name}.pem`)
    const out = ["-keyout", at(`${name}.key`), "-out", cert, "-days", "2"]
    openssl(["req", "-x509", ...key, ...out, "-subj", `/CN=${name}`])
    return cert
  }

  const signed = (name: string, by: string, commonName: string, altName: string, days = "2"): Certificate => {
    const [request, extensions] = [at(`${name}.csr`), at(`${name}.ext`)]
    const made = { cert: at(`${name}.pem`), key: at(`${name}.key`) }
    Fs.writeFileSync(extensions, `subjectAltName=${altName}\n`)
    openssl(["req", "-new", ...key, "-keyout", made.key, "-out", request, "-subj", `/CN=${commonName}`])
    const signer = ["-CA", at(`${by}.pem`), "-CAkey", at(`${by}.key`), "-CAcreateserial"]
    openssl(["x509", "-req", "-in", request, ...signer, "-days", days, "-extfile", extensions, "-out", made.cert])
    return made
  }

  const ca = authority("ca")
  const strangerCa = authority("stranger-ca")
  const client = signed("client", "ca", "client", "DNS:client")
  const encryptedClientKey = at("client-encrypted.key")
  openssl(["pkcs8", "-topk8", "-in", client.key, "-out", encryptedClientKey, "-passout", `pass:${passphrase}`])
  return {
    folder,
    ca,
    server: signed("server", "ca", "localhost", "DNS:localhost,IP:127.0.0.1"),
    client,
    encryptedClientKey,
    passphrase,
    misnamed: signed("misnamed", "ca", "elsewhere.example", "DNS:elsewhere.example"),
    expired: signed("expired", "ca", "localhost", "DNS:localhost", "-1"),
    strangerCa,
    stranger: signed("stranger", "stranger-ca", "localhost", "DNS:localhost,IP:127.0.0.1")
  }
}

export const makeCertificates: Effect.Effect<Certificates, never, Scope.Scope> = Effect.map(
  Effect.acquireRelease(
    Effect.sync(() => Fs.mkdtempSync(Path.join(Os.tmpdir(), "effect-amqp-certificates-"))),
    (folder) => Effect.sync(() => Fs.rmSync(folder, { recursive: true, force: true }))
  ),
  make
)
