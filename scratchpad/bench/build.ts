/**
 * The library and the samples as plain JavaScript in a folder of their own: what is measured pays for no loader, and a run
 * disturbs neither `dist` nor another run.
 */
import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { fileURLToPath } from "node:url"

export const root = fileURLToPath(new URL("../..", import.meta.url))

export interface Built {
  readonly folder: string
  readonly sample: string
  readonly broker: string
  readonly ca: string
  readonly cert: string
  readonly key: string
}

// One certificate for all: it is its own authority.
const makeCertificate = (folder: string) => {
  const cert = Path.join(folder, "cert.pem")
  const key = Path.join(folder, "key.pem")
  const names = "subjectAltName=DNS:localhost,IP:127.0.0.1"
  execFileSync("openssl", [
    ..."req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost".split(" "),
    "-addext",
    names,
    "-keyout",
    key,
    "-out",
    cert
  ], { stdio: "pipe" })
  return { ca: cert, cert, key }
}

export const build = (): Built => {
  const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "effect-amqp-bench-"))
  Fs.writeFileSync(Path.join(folder, "package.json"), `{ "type": "module" }`)
  Fs.symlinkSync(Path.join(root, "node_modules"), Path.join(folder, "node_modules"))
  const compiler = Path.join(root, "node_modules/.bin/tsc")
  execFileSync(compiler, ["-p", Path.join(root, "scratchpad/bench"), "--outDir", folder], { stdio: "inherit" })
  const at = (name: string) => Path.join(folder, "scratchpad/bench", name)
  return { folder, sample: at("sample.js"), broker: at("nullBroker.js"), ...makeCertificate(folder) }
}
