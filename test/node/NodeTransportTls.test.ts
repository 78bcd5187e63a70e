import { assert, describe, it, layer } from "@effect/vitest"
import { Transport } from "effect-amqp"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import * as Crypto from "node:crypto"
import * as Fs from "node:fs"
import * as Net from "node:net"
import * as Path from "node:path"
import * as Tls from "node:tls"
import { type End, makeEnd, pattern, pipeContract } from "../pipeContract.ts"
import { type Certificate, type Certificates, makeCertificates } from "./certificates.ts"
import { dial, live, livePki, nodeServer, Pki, refusal, tcpResources, until } from "./sockets.ts"

const files = (certificate: Certificate) => ({ cert: { file: certificate.cert }, key: { file: certificate.key } })

const pem = (text: string): Transport.Pem => ({ pem: Redacted.make(text) })

/** Our listener with TLS: echoes, and keeps what it accepted. */
const listen = (tls: Transport.TlsOptions) =>
  Effect.gen(function*() {
    const server = yield* Transport.TransportServer
    const accepted: Array<End> = []
    const bound = yield* server.listen({ host: "127.0.0.1", port: 0, tls }, (pipe) => {
      const end = makeEnd(pipe, (end, bytes) => end.pipe.write(bytes))
      accepted.push(end)
      end.start()
    })
    return { ...bound, accepted }
  })

/** Sends something there and back, to know that the pipe is good. */
const echo = (pipe: Transport.Pipe) =>
  Effect.gen(function*() {
    const end = makeEnd(pipe)
    end.start()
    pipe.write(pattern(1000))
    yield* end.until(() => end.received().length === 1000 || end.closes.length > 0)
    assert.deepStrictEqual(end.closes, [])
  })

const trusting = (pki: Certificates): Transport.TlsOptions => ({ ca: [{ file: pki.ca }] })

describe("NodeTransport over TLS", () => {
  const made = Effect.runSync(Effect.scoped(Effect.map(makeCertificates, (pki) => ({
    ca: Fs.readFileSync(pki.ca, "utf8"),
    cert: Fs.readFileSync(pki.server.cert, "utf8"),
    key: Fs.readFileSync(pki.server.key, "utf8")
  }))))
  pipeContract({
    layer: live,
    it: it.scopedLive,
    listenAt: { host: "127.0.0.1", port: 0, tls: { cert: pem(made.cert), key: pem(made.key) } },
    dialTo: ({ port }) => ({ scheme: "amqps", host: "localhost", port, tls: { ca: [pem(made.ca)] } })
  })
})

layer(livePki, { excludeTestServices: true })("NodeTransport's TLS", (it) => {
  it.scoped("tells protocol, cipher and the peer's name", () =>
    Effect.gen(function*() {
      const pki = yield* Pki
      const { port } = yield* listen(files(pki.server))
      const pipe = yield* dial({ host: "localhost", port, tls: trusting(pki) })
      yield* echo(pipe)
      assert.strictEqual(pipe.tls?.protocol, "TLSv1.3")
      assert.match(pipe.tls?.cipher ?? "", /^TLS_/)
      assert.strictEqual(pipe.tls?.peerName, "localhost")
    }))

  it.scoped("is spoken for amqps without options, and then trusts the system's authorities alone", () =>
    Effect.gen(function*() {
      const pki = yield* Pki
      const { port } = yield* listen(files(pki.server))
      const fault = yield* refusal({ scheme: "amqps", host: "localhost", port })
      assert.strictEqual(fault.reason, "Tls")
      assert.include(fault.text, "unknown authority")
    }))

  it.scoped("does not trust another authority's certificate, unless verify is off", () =>
    Effect.gen(function*() {
      const pki = yield* Pki
      const { port } = yield* listen(files(pki.stranger))
      const fault = yield* refusal({ host: "localhost", port, tls: trusting(pki) })
      assert.strictEqual(fault.reason, "Tls")
      assert.include(fault.text, "unknown authority")
      yield* Effect.flatMap(dial({ host: "localhost", port, tls: { ...trusting(pki), verify: false } }), echo)
    }))

  it.scoped("refuses an expired certificate", () =>
    Effect.gen(function*() {
      const pki = yield* Pki
      const { port } = yield* listen(files(pki.expired))
      const fault = yield* refusal({ host: "localhost", port, tls: trusting(pki) })
      assert.include(fault, { reason: "Tls", text: "the certificate has expired" })
    }))

  it.scoped("refuses a certificate for another name, unless checkHostname is off or serverName is that name", () =>
    Effect.gen(function*() {
      const pki = yield* Pki
      const { port } = yield* listen(files(pki.misnamed))
      const target = (tls: Transport.TlsOptions) => ({ host: "localhost", port, tls: { ...trusting(pki), ...tls } })
      for (const options of [{}, { serverName: null }, { verify: false, checkHostname: true }]) {
        const fault = yield* refusal(target(options))
        assert.strictEqual(fault.reason, "Tls")
        assert.include(fault.text, "elsewhere.example")
      }
      for (const options of [{ checkHostname: false }, { serverName: "elsewhere.example" }, { verify: false }]) {
        yield* Effect.flatMap(dial(target(options)), echo)
      }
    }))

  it.scoped("sends the host as SNI, or serverName, or nothing; never an address", () =>
    Effect.gen(function*() {
      const pki = yield* Pki
      const names: Array<string | false> = []
      const { port } = yield* nodeServer(
        Tls.createServer(
          { cert: Fs.readFileSync(pki.server.cert), key: Fs.readFileSync(pki.server.key) },
          (socket) => names.push(socket.servername as string | false)
        )
      )
      const to = (host: string, tls: Transport.TlsOptions) =>
        dial({ host, port, tls: { ...trusting(pki), checkHostname: false, ...tls } })
      yield* to("localhost", {})
      yield* to("localhost", { serverName: "other.example" })
      yield* to("localhost", { serverName: null })
      yield* to("127.0.0.1", {})
      yield* to("localhost", { serverName: "127.0.0.1" })
      yield* until(() => names.length === 5)
      assert.deepStrictEqual(names, ["localhost", "other.example", false, false, false])
    }))

  it.scoped("finds an address in the certificate", () =>
    Effect.gen(function*() {
      const pki = yield* Pki
      const { port } = yield* listen(files(pki.server))
      yield* Effect.flatMap(dial({ host: "127.0.0.1", port, tls: trusting(pki) }), echo)
    }))

  it.scoped("trusts the authorities of a folder, PEM and DER", () =>
    Effect.gen(function*() {
      const pki = yield* Pki
      const { port } = yield* listen(files(pki.server))
      const folder = Path.join(pki.folder, "trusted")
      const der = Path.join(pki.folder, "trusted-der")
      Fs.mkdirSync(folder)
      Fs.mkdirSync(der)
      Fs.copyFileSync(pki.ca, Path.join(folder, "one.crt"))
      Fs.copyFileSync(pki.strangerCa, Path.join(folder, "two.pem"))
      Fs.writeFileSync(Path.join(folder, "README"), "not a certificate")
      const body = Fs.readFileSync(pki.ca, "utf8").replace(/-----[^-]+-----|\s/g, "")
      Fs.writeFileSync(Path.join(der, "ca.cer"), Buffer.from(body, "base64"))
      for (const caPath of [folder, der]) {
        yield* Effect.flatMap(dial({ host: "localhost", port, tls: { caPath } }), echo)
      }
    }))

  it.scoped("reads its files anew at each dial", () =>
    Effect.gen(function*() {
      const pki = yield* Pki
      const { port } = yield* listen(files(pki.server))
      const file = Path.join(pki.folder, "renewed.pem")
      const target = { host: "localhost", port, tls: { ca: [{ file }] } }
      Fs.copyFileSync(pki.strangerCa, file)
      assert.strictEqual((yield* refusal(target)).reason, "Tls")
      Fs.copyFileSync(pki.ca, file)
      yield* Effect.flatMap(dial(target), echo)
    }))

  it.scoped("speaks the version and the ciphers it is told to", () =>
    Effect.gen(function*() {
      const pki = yield* Pki
      const { port } = yield* nodeServer(
        Tls.createServer({
          cert: Fs.readFileSync(pki.server.cert),
          key: Fs.readFileSync(pki.server.key),
          maxVersion: "TLSv1.2"
        })
      )
      const target = (tls: Transport.TlsOptions) => ({ host: "localhost", port, tls: { ...trusting(pki), ...tls } })
      const pipe = yield* dial(target({ ciphers: "ECDHE-ECDSA-AES256-GCM-SHA384" }))
      assert.include(pipe.tls, {
        protocol: "TLSv1.2",
        cipher: "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"
      })
      assert.strictEqual((yield* refusal(target({ minVersion: "TLSv1.3" }))).reason, "Tls")
    }))

  describe("with a client's certificate", () => {
    it.scoped("is known to the server by its name when an authority is there to judge it", () =>
      Effect.gen(function*() {
        const pki = yield* Pki
        const { accepted, port } = yield* listen({ ...files(pki.server), ...trusting(pki), verify: true })
        yield* Effect.flatMap(
          dial({ host: "localhost", port, tls: { ...trusting(pki), ...files(pki.client) } }),
          echo
        )
        assert.strictEqual(accepted[0]?.pipe.tls?.peerName, "client")
      }))

    it.scoped("opens an encrypted key by its passphrase", () =>
      Effect.gen(function*() {
        const pki = yield* Pki
        const { accepted, port } = yield* listen({ ...files(pki.server), ...trusting(pki), verify: true })
        const tls = {
          ...trusting(pki),
          cert: { file: pki.client.cert },
          key: { file: pki.encryptedClientKey },
          passphrase: Redacted.make(pki.passphrase)
        }
        yield* Effect.flatMap(dial({ host: "localhost", port, tls }), echo)
        assert.lengthOf(accepted, 1)
      }))

    it.scoped("does not give an unverified name for a known one", () =>
      Effect.gen(function*() {
        const pki = yield* Pki
        const { accepted, port } = yield* listen({ ...files(pki.server), ...trusting(pki) })
        yield* Effect.flatMap(
          dial({ host: "localhost", port, tls: { ...trusting(pki), ...files(pki.stranger) } }),
          echo
        )
        yield* Effect.flatMap(dial({ host: "localhost", port, tls: trusting(pki) }), echo)
        assert.deepStrictEqual(accepted.map(({ pipe }) => pipe.tls?.peerName), [undefined, undefined])
      }))

    it.scoped("is refused by a server that insists on one it trusts: after the handshake, so as a close", () =>
      Effect.gen(function*() {
        const pki = yield* Pki
        const { accepted, port } = yield* listen({ ...files(pki.server), ...trusting(pki), verify: true })
        for (const tls of [trusting(pki), { ...trusting(pki), ...files(pki.stranger) }]) {
          const client = makeEnd(yield* dial({ host: "localhost", port, tls }))
          client.start()
          yield* client.until(() => client.closes.length === 1)
        }
        assert.deepStrictEqual(accepted, [])
      }))
  })

  describe("with a peer that does not do its part", () => {
    it.scoped("says that a peer with other words does not speak TLS", () =>
      Effect.gen(function*() {
        const { port } = yield* nodeServer(
          Net.createServer((socket) => void socket.write("HTTP/1.1 400 Bad Request\r\n"))
        )
        assert.include(yield* refusal({ host: "localhost", port, tls: {} }), {
          reason: "Tls",
          text: "the peer does not speak TLS"
        })
      }))

    for (
      const [how, close] of [
        ["closed", (socket: Net.Socket) => socket.end()],
        ["reset the connection", (socket: Net.Socket) => socket.resetAndDestroy()]
      ] as const
    ) {
      it.scoped(`says that the peer ${how} during the handshake: Refused, which a restart may heal`, () =>
        Effect.gen(function*() {
          const { port } = yield* nodeServer(Net.createServer((socket) => socket.once("data", () => close(socket))))
          assert.include(yield* refusal({ host: "localhost", port, tls: {} }), {
            reason: "Refused",
            text: "the peer closed the connection during the TLS handshake"
          })
        }))
    }

    it.scoped("calls each onWritten once when a reset cuts off what was not written", () =>
      Effect.gen(function*() {
        const pki = yield* Pki
        const { port, sockets } = yield* nodeServer(
          Tls.createServer(
            { cert: Fs.readFileSync(pki.server.cert), key: Fs.readFileSync(pki.server.key) },
            (socket) => {
              socket.on("error", () => {})
              socket.write("x")
            }
          )
        )
        const client = makeEnd(yield* dial({ host: "localhost", port, tls: trusting(pki) }))
        client.start()
        yield* client.until(() => client.received().length === 1)
        const written: Array<number> = []
        for (let i = 0; i < 16; i++) client.pipe.write(pattern(1_000_000), () => written.push(i))
        for (const socket of sockets) socket.resetAndDestroy()
        yield* client.until(() => client.closes.length === 1)
        yield* until(() => written.length >= 16)
        assert.sameMembers(written, Array.from({ length: 16 }, (_, i) => i))
        assert.instanceOf(client.closes[0], Error)
      }))

    it.scoped("destroys the socket of a stalled handshake when it is interrupted", () =>
      Effect.gen(function*() {
        const before = tcpResources().length
        yield* Effect.scoped(Effect.gen(function*() {
          const { port, sockets } = yield* nodeServer(Net.createServer())
          const fiber = yield* Effect.fork(Effect.scoped(dial({ host: "localhost", port, tls: {} })))
          yield* until(() => sockets.size === 1)
          const closed = [...sockets].map((socket) => new Promise((resolve) => socket.resume().once("close", resolve)))
          yield* Fiber.interrupt(fiber)
          yield* Effect.promise(() => Promise.all(closed))
        }))
        yield* until(() => tcpResources().length <= before)
      }))

    it.scoped("listening: outlives plain words, silence and a reset from a client", () =>
      Effect.gen(function*() {
        const pki = yield* Pki
        const { accepted, port } = yield* listen(files(pki.server))
        const sockets = ["GET / HTTP/1.1\r\n\r\n", "", undefined].map((words) => {
          const socket = Net.connect({ host: "127.0.0.1", port })
          socket.on("error", () => {})
          socket.once("connect", () => words === undefined ? socket.resetAndDestroy() : socket.write(words))
          return socket
        })
        yield* Effect.flatMap(dial({ host: "localhost", port, tls: trusting(pki) }), echo)
        yield* until(() => sockets.filter((socket) => socket.closed).length === 2)
        assert.lengthOf(accepted, 1)
      }))
  })

  describe("with what it cannot use", () => {
    it.scoped("fails Url, and names it without a secret", () =>
      Effect.gen(function*() {
        const pki = yield* Pki
        const secret = "hunter2"
        const garbage = { pem: Redacted.make(`-----BEGIN PRIVATE KEY-----\n${secret}\n-----END PRIVATE KEY-----`) }
        const empty = Path.join(pki.folder, "empty")
        Fs.mkdirSync(empty)
        const cases: ReadonlyArray<readonly [Transport.TlsOptions, string]> = [
          [{ ca: [{ file: "/nowhere/ca.pem" }] }, "the authority cannot be read: ENOENT"],
          [{ ca: [{ file: pki.server.key }] }, `the authority ${pki.server.key} cannot be used: it is not in PEM`],
          [{ caPath: "/nowhere" }, "the folder of certificate authorities cannot be read: ENOENT"],
          [{ caPath: empty }, `${empty} has no .pem, .crt or .cer file`],
          [{ cert: { file: pki.client.cert } }, "a certificate is given without its key"],
          [{ key: { file: pki.client.key } }, "a key is given without its certificate"],
          [{ cert: { file: pki.client.cert }, key: garbage }, "the key cannot be used"],
          [{ cert: garbage, key: { file: pki.client.key } }, "the certificate cannot be used"],
          [
            { cert: { file: pki.client.cert }, key: { file: pki.server.key } },
            "certificate, key and ciphers cannot be used: key values mismatch"
          ],
          [{ ciphers: "NONE-SUCH" }, "certificate, key and ciphers cannot be used: no cipher match"],
          [
            {
              cert: { file: pki.client.cert },
              key: { file: pki.encryptedClientKey },
              passphrase: Redacted.make(secret)
            },
            `the key ${pki.encryptedClientKey} cannot be used: it is encrypted, and the passphrase is wrong`
          ],
          [
            { cert: { file: pki.client.cert }, key: { file: pki.encryptedClientKey } },
            `the key ${pki.encryptedClientKey} cannot be used: it is encrypted, and there is no passphrase`
          ]
        ]
        for (const [tls, text] of cases) {
          const fault = yield* refusal({ host: "localhost", port: 1, tls })
          assert.strictEqual(fault.reason, "Url")
          assert.isTrue(fault.text.startsWith(text), fault.text)
          assert.notInclude(fault.text, secret)
        }
      }))

    it.scoped("fails Url for a wrong passphrase also where it happens to decrypt to something", () =>
      Effect.gen(function*() {
        const pki = yield* Pki
        const key = Fs.readFileSync(pki.encryptedClientKey)
        const codeOf = (passphrase: string): unknown => {
          try {
            return Crypto.createPrivateKey({ key, passphrase })
          } catch (error) {
            return error instanceof Error && "code" in error ? error.code : error
          }
        }
        let count = 0
        // What does not decrypt at all is ERR_OSSL_BAD_DECRYPT.
        while (codeOf(`wrong-${count}`) !== "ERR_OSSL_UNSUPPORTED") count++
        const fault = yield* refusal({
          host: "localhost",
          port: 1,
          tls: {
            cert: { file: pki.client.cert },
            key: { file: pki.encryptedClientKey },
            passphrase: Redacted.make(`wrong-${count}`)
          }
        })
        assert.include(fault, {
          reason: "Url",
          text: `the key ${pki.encryptedClientKey} cannot be used: it is encrypted, and the passphrase is wrong`
        })
      }))

    it.scoped("cannot listen either", () =>
      Effect.gen(function*() {
        const pki = yield* Pki
        const fault = yield* Effect.flip(listen({ cert: { file: pki.server.cert }, key: { file: pki.client.key } }))
        assert.strictEqual(fault.reason, "Other")
        assert.include(fault.text, "certificate, key and ciphers cannot be used")
      }))
  })
})
