import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import { existsSync, readdirSync, readFileSync } from "node:fs"
import { start } from "../harness/childProcess.ts"
import { describeRabbit, describeWith, SharedRabbitMq } from "../harness/describe.ts"
import * as Foreign from "../harness/foreign.ts"
import * as RabbitMq from "../harness/rabbitmq.ts"

const roundTrip = `
import pika, sys
connection = pika.BlockingConnection(pika.URLParameters(sys.argv[1]))
channel = connection.channel()
channel.queue_declare("q")
channel.confirm_delivery()
channel.basic_publish("", "q", b"hello")
print(channel.basic_get("q", auto_ack=True)[2].decode())
connection.close()
`

const external = `
import pika, ssl, sys
port, ca, cert, key = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
context.load_cert_chain(cert, key)
connection = pika.BlockingConnection(pika.ConnectionParameters(
    host="localhost", port=int(port), credentials=pika.credentials.ExternalCredentials(),
    ssl_options=pika.SSLOptions(context, "localhost")))
print(connection._impl.server_properties["version"])
connection.close()
`

const mechanisms = `
import socket, sys
from pika.frame import decode_frame
peer = socket.create_connection((sys.argv[1], int(sys.argv[2])))
peer.sendall(b"AMQP\\x00\\x00\\x09\\x01")
print(decode_frame(peer.recv(65536))[1].method.mechanisms.decode())
`

const watch = `
import pika, sys
connection = pika.BlockingConnection(pika.URLParameters(sys.argv[1]))
connection.add_on_connection_blocked_callback(lambda _, frame: print("blocked", frame.method.reason))
connection.add_on_connection_unblocked_callback(lambda *_: print("unblocked"))
channel = connection.channel()
print("open")
try:
    while True:
        if sys.argv[2:] == ["publish"]:
            channel.basic_publish("", "nowhere", b"x")
        connection.process_data_events(0.05)
except Exception as error:
    print("ended", repr(error))
`

const program = `
import * as Effect from "effect/Effect"
import * as RabbitMq from ${JSON.stringify(new URL("../harness/rabbitmq.ts", import.meta.url))}
await Effect.runPromise(Effect.scoped(Effect.gen(function*() {
  console.log("folder " + (yield* RabbitMq.node()).place.folder)
  yield* Effect.never
})))
`

/** Those that were started with the text in their environment. */
const processes = (text: string): ReadonlyArray<string> =>
  readdirSync("/proc").filter((pid) => {
    try {
      return /^\d+$/.test(pid) && readFileSync(`/proc/${pid}/environ`, "utf8").includes(text)
    } catch {
      return false // it ended in the meantime
    }
  })

describeRabbit("the shared RabbitMQ node", (it) => {
  it.effect("answers rabbitmqctl", () =>
    Effect.gen(function*() {
      const rabbit = yield* SharedRabbitMq
      assert.match(yield* rabbit.ctl("version"), /^\d+\.\d+\.\d+/)
      assert.include(yield* rabbit.ctl("list_vhosts"), rabbit.vhost)
    }))

  it.effect("offers PLAIN, AMQPLAIN and RABBIT-CR-DEMO where there is no TLS", () =>
    Effect.gen(function*() {
      const { host, port } = yield* SharedRabbitMq
      const { stdout } = yield* Foreign.python(mechanisms, [host, String(port)])
      assert.sameMembers(stdout.trim().split(" "), ["PLAIN", "AMQPLAIN", "RABBIT-CR-DEMO"])
    }))

  it.effect("lets pika declare, publish with a confirm, and get", () =>
    Effect.gen(function*() {
      const rabbit = yield* SharedRabbitMq
      const { stdout } = yield* Foreign.python(roundTrip, [rabbit.url])
      assert.strictEqual(stdout, "hello\n")
    }))

  it.effect("lets amqp-publish and amqp-get move a message", () =>
    Effect.gen(function*() {
      const { url } = yield* SharedRabbitMq
      yield* Foreign.command("amqp-declare-queue", ["-u", url, "-q", "tools"])
      yield* Foreign.command("amqp-publish", ["-u", url, "-r", "tools"], "from a shell")
      const { stdout } = yield* Foreign.command("amqp-get", ["-u", url, "-q", "tools"])
      assert.strictEqual(stdout, "from a shell")
    }))

  it.effect("knows a client by its certificate", () =>
    Effect.gen(function*() {
      const { addUser, certificates: { ca, client }, tlsPort } = RabbitMq.at((yield* SharedRabbitMq).place)
      yield* addUser(client.name, "unused")
      const { stdout } = yield* Foreign.python(external, [String(tlsPort), ca, client.cert, client.key])
      assert.match(stdout, /^\d+\.\d+/)
    }))
}, ["python3-pika", "amqp-tools"])

describeWith([...RabbitMq.packages, "python3-pika"], "a disposable RabbitMQ node", () => {
  it.scopedLive(
    "blocks publishers while its memory alarm is on, and says why it closes a connection",
    () =>
      Effect.gen(function*() {
        const rabbit = yield* RabbitMq.node()
        const pika = yield* Foreign.startPython(watch, [rabbit.url, "publish"])
        yield* pika.seen(/open\n/)
        yield* rabbit.memoryAlarm(true)
        yield* pika.seen(/blocked low on memory/)
        yield* rabbit.memoryAlarm(false)
        yield* pika.seen(/unblocked/)
        yield* rabbit.closeAllConnections("maintenance")
        yield* pika.seen(/ended .*320.*maintenance/)
      }),
    60_000
  )

  it.live(
    "is killed, starts again with what was durable, and leaves no process and no folder",
    () =>
      Effect.gen(function*() {
        const folder = yield* Effect.scoped(Effect.gen(function*() {
          const rabbit = yield* RabbitMq.node()
          yield* rabbit.ctl("add_user", "durable", "any")
          const pika = yield* Foreign.startPython(watch, [rabbit.url])
          yield* pika.seen(/open\n/)
          const pid = yield* rabbit.pid
          assert.include(processes(rabbit.place.folder), String(pid))
          yield* rabbit.kill
          yield* pika.seen(/ended/)
          assert.isFalse(existsSync(`/proc/${pid}`))
          yield* rabbit.start
          assert.include(yield* rabbit.ctl("list_users"), "durable")
          assert.isNotEmpty(processes(rabbit.place.folder))
          return rabbit.place.folder
        }))
        assert.isFalse(existsSync(folder))
        assert.isEmpty(processes(folder))
      }),
    60_000
  )

  it.scopedLive("leaves no process and no folder when the test process itself is killed", () =>
    Effect.gen(function*() {
      const tests = yield* start(process.execPath, ["--import", "tsx", "--input-type=module", "--eval", program])
      const [, folder = ""] = yield* tests.seen(/folder (.*)\n/)
      assert.isNotEmpty(processes(folder))
      yield* tests.signal("SIGKILL")
      yield* tests.exit
      const left = Effect.sync(() => [...processes(folder), ...existsSync(folder) ? [folder] : []])
      yield* Effect.retry(
        Effect.filterOrFail(left, (left) => left.length === 0, (left) => `left behind: ${left.join(", ")}`),
        Schedule.intersect(Schedule.spaced("50 millis"), Schedule.recurs(100))
      )
    }), 60_000)
})
