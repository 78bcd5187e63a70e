import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { start } from "../harness/childProcess.ts"
import { describeWith } from "../harness/describe.ts"
import * as Foreign from "../harness/foreign.ts"

const pika = `
import pika, sys
from pika.exceptions import *
connection = pika.BlockingConnection(pika.URLParameters(sys.argv[1]))
channel = connection.channel()
queue = "pika"
declared = channel.queue_declare(queue, durable=True).method
print("declared", declared.queue, declared.message_count, declared.consumer_count)
channel.confirm_delivery()
for n in range(5):
    channel.basic_publish("", queue, b"m%d" % n, pika.BasicProperties(headers={"n": n}, delivery_mode=2), mandatory=True)
try:
    channel.basic_publish("", "nowhere", b"lost", mandatory=True)
except UnroutableError as error:
    print("returned", error.messages[0].method.reply_code, error.messages[0].method.reply_text)
method, properties, body = channel.basic_get(queue)
print("got", method.message_count, properties.headers, properties.delivery_mode, body.decode())
channel.basic_nack(method.delivery_tag, requeue=True)
channel.basic_qos(prefetch_count=2)
for method, properties, body in channel.consume(queue, inactivity_timeout=5):
    print("consumed", method.delivery_tag, method.redelivered, body.decode())
    channel.basic_ack(method.delivery_tag)
    if body == b"m4":
        break
channel.cancel()
print("empty", channel.basic_get(queue)[0])
large = bytes(range(256)) * 4096
channel.basic_publish("", queue, large)
print("large", channel.basic_get(queue, auto_ack=True)[2] == large)
try:
    channel.queue_declare("missing", passive=True)
except ChannelClosedByBroker as error:
    print("closed", error.reply_code, error.reply_text)
channel = connection.channel()
try:
    channel.queue_declare(queue, durable=False)
except ChannelClosedByBroker as error:
    print("closed", error.reply_code, error.reply_text)
channel = connection.channel()
channel.exchange_declare("logs", "topic")
private = channel.queue_declare("", exclusive=True).method.queue
channel.queue_bind(private, "logs", "a.*")
for key in ["a.b", "b.a"]:
    channel.basic_publish("logs", key, key)
print("routed", channel.basic_get(private, auto_ack=True)[2].decode(), channel.basic_get(private)[0])
channel.exchange_delete("logs")
print("deleted", channel.queue_delete(queue).method.message_count)
connection.close()
try:
    pika.BlockingConnection(pika.URLParameters(sys.argv[1].replace("guest:guest", "guest:wrong")))
except ProbableAuthenticationError as error:
    print("refused", error)
except AMQPConnectionError as error:
    print("refused", type(error).__name__)
`

const kombu = `
import sys, socket
from kombu import Connection, Exchange, Queue, Producer, Consumer
with Connection(sys.argv[1]) as connection:
    exchange = Exchange("kombu", type="direct")
    queue = Queue("kombu", exchange, routing_key="k")
    producer = Producer(connection.channel(), exchange, routing_key="k", serializer="json")
    for n in range(3):
        producer.publish({"n": n}, declare=[queue])
    seen = []
    def on_message(body, message):
        seen.append(body["n"])
        message.ack()
    with Consumer(connection.channel(), [queue], callbacks=[on_message]):
        while len(seen) < 3:
            connection.drain_events(timeout=5)
        try:
            connection.drain_events(timeout=0.2)
        except socket.timeout:
            print("drained", seen)
    simple = connection.SimpleQueue("simple")
    simple.put({"hello": "world"})
    simple.put("second")
    print("size", simple.qsize())
    message = simple.get(block=True, timeout=5)
    print("simple", message.payload)
    message.ack()
    message = simple.get(timeout=5)
    message.requeue()
    message = simple.get(timeout=5)
    print("again", message.payload, message.delivery_info["redelivered"])
    message.ack()
    try:
        simple.get_nowait()
    except simple.Empty:
        print("empty")
    simple.close()
    other = connection.SimpleQueue("other")
    other.put("left")
    print("cleared", other.clear())
    other.close()
    try:
        connection.channel().queue_declare("missing", passive=True)
    except connection.channel_errors as error:
        print("failed", error.code)
`

const watch = `
import pika, sys
connection = pika.BlockingConnection(pika.URLParameters(sys.argv[1]))
print("open")
try:
    while True:
        connection.process_data_events(0.05)
except pika.exceptions.ConnectionClosedByBroker as error:
    print("ended", error.reply_code, error.reply_text)
`

const tools = (url: string) =>
  Effect.gen(function*() {
    const queue = ["-u", url, "-q", "tools"]
    yield* Foreign.command("amqp-declare-queue", queue)
    yield* Foreign.command("amqp-publish", ["-u", url, "-r", "tools", "-p"], "one")
    yield* Foreign.command("amqp-publish", ["-u", url, "-r", "tools", "-C", "text/plain"], "two")
    assert.strictEqual((yield* Foreign.command("amqp-get", queue)).stdout, "one")
    const { stdout } = yield* Foreign.command("amqp-consume", [...queue, "-c", "1", "cat"])
    assert.include(stdout, "two")
    const empty = yield* Effect.flip(Foreign.command("amqp-get", queue))
    assert.strictEqual(empty.output.code, 2)
    yield* Foreign.command("amqp-delete-queue", queue)
    const missing = yield* Effect.flip(Foreign.command("amqp-get", queue))
    assert.include(missing.output.stderr, "NOT_FOUND - no queue 'tools' in vhost '/'")
  })

const lines = (text: string) => text.trim().split("\n")

const servesPika = (url: string) =>
  Effect.gen(function*() {
    const { stdout } = yield* Foreign.python(pika, [url])
    assert.deepStrictEqual(lines(stdout), [
      "declared pika 0 0",
      "returned 312 NO_ROUTE",
      "got 4 {'n': 0} 2 m0",
      "consumed 2 True m0",
      "consumed 3 False m1",
      "consumed 4 False m2",
      "consumed 5 False m3",
      "consumed 6 False m4",
      "empty None",
      "large True",
      "closed 404 NOT_FOUND - no queue 'missing' in vhost '/'",
      "closed 406 PRECONDITION_FAILED - inequivalent arg 'durable' for queue 'pika' in vhost '/': received 'false' " +
      "but current is 'true'",
      "routed a.b None",
      "deleted 0",
      "refused ConnectionClosedByBroker: (403) 'ACCESS_REFUSED - Login was refused using authentication mechanism " +
      "PLAIN. For details see the broker logfile.'"
    ])
  })

const pika43 = `
import pika, sys
from pika.exceptions import *
channel = pika.BlockingConnection(pika.URLParameters(sys.argv[1])).channel()
print("durable", channel.queue_declare("q", durable=True).method.queue)
try:
    channel.queue_declare("transient")
except ConnectionClosedByBroker as error:
    print("closed", error.reply_code, error.reply_text.splitlines()[0])
`

const servesKombu = (url: string) =>
  Effect.gen(function*() {
    const { stdout } = yield* Foreign.python(kombu, [url])
    assert.deepStrictEqual(lines(stdout), [
      "drained [0, 1, 2]",
      "size 2",
      "simple {'hello': 'world'}",
      "again second True",
      "empty",
      "cleared 1",
      "failed 404"
    ])
  })

describeWith(["python3-pika", "python3-kombu", "amqp-tools"], "the embedded broker as a program", () => {
  it.scopedLive("serves clients in any language", () =>
    Effect.gen(function*() {
      const broker = yield* start("npm", ["run", "--silent", "broker", "--", "--port", "0"], {
        timeoutMillis: 60_000
      })
      const [, address] = yield* broker.seen(/listening on (\S+)\n/)
      const url = `amqp://guest:guest@${address}/%2F`
      yield* tools(url)
      yield* servesPika(url)
      yield* servesKombu(url)
    }))

  it.scopedLive("keeps to the rules of 4.3 when it is told to", () =>
    Effect.gen(function*() {
      const broker = yield* start(
        process.execPath,
        ["--import", "tsx", "src/node/bin.ts", "broker", "--port", "0", "--profile", "4.3"],
        { timeoutMillis: 60_000 }
      )
      const [, address] = yield* broker.seen(/listening on (\S+)\n/)
      const { stdout } = yield* Foreign.python(pika43, [`amqp://guest:guest@${address}/%2F`])
      assert.deepStrictEqual(lines(stdout), [
        "durable q",
        "closed 541 INTERNAL_ERROR - Feature `transient_nonexcl_queues` is deprecated."
      ])
    }))

  it.scopedLive("tells its clients when its program is asked to end", () =>
    Effect.gen(function*() {
      // Node itself: npm and tsx would pass the signal on once more, and the second one kills.
      const broker = yield* start(
        process.execPath,
        ["--import", "tsx", "src/node/bin.ts", "broker", "--port", "0"],
        { timeoutMillis: 60_000 }
      )
      const [, address] = yield* broker.seen(/listening on (\S+)\n/)
      const url = `amqp://guest:guest@${address}/%2F`
      const witness = yield* Foreign.startPython(watch, [url])
      yield* witness.seen(/open\n/)
      yield* broker.signal("SIGTERM")
      yield* witness.seen(/ended 320 CONNECTION_FORCED - broker forced connection closure with reason 'shutdown'\n/)
    }))
})
