/** Certificates for one run of tests: an authority, a server and a client that it vouches for, and a stranger. */
import * as Effect from "effect/Effect"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { run } from "./childProcess.ts"

/** Paths of PEM files. */
export interface Certificates {
  readonly ca: string
  /** For `localhost` and `127.0.0.1`. */
  readonly server: { readonly cert: string; readonly key: string }
  /** Common name `amqp-client`. */
  readonly client: { readonly cert: string; readonly key: string; readonly name: string }
  /** An authority that vouches for nothing here. */
  readonly strangerCa: string
}

const clientName = "amqp-client"
const newKey = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"

/** Writes them into the folder, with openssl. */
export const make = Effect.fnUntraced(function*(folder: string) {
  const at = (name: string) => join(folder, name)
  const openssl = (line: string) => run("openssl", line.split(" "), { cwd: folder })
  const authority = (name: string) =>
    openssl(`req -x509 ${newKey} -keyout ${name}.key -out ${name}.pem -days 2 -subj /CN=${name}`)
  const signed = (name: string, subject: string) =>
    Effect.zipRight(
      openssl(`req ${newKey} -keyout ${name}.key -out ${name}.csr -subj /CN=${subject}`),
      openssl(`x509 -req -in ${name}.csr -CA ca.pem -CAkey ca.key -out ${name}.pem -days 2 -extfile names`)
    )
  writeFileSync(at("names"), "subjectAltName=DNS:localhost,IP:127.0.0.1\n")
  yield* authority("ca")
  yield* authority("stranger")
  yield* signed("server", "localhost")
  yield* signed("client", clientName)
  const certificates: Certificates = {
    ca: at("ca.pem"),
    server: { cert: at("server.pem"), key: at("server.key") },
    client: { cert: at("client.pem"), key: at("client.key"), name: clientName },
    strangerCa: at("stranger.pem")
  }
  return certificates
})
