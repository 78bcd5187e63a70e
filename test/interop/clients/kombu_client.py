"""kombu over py-amqp: simple queues, producers, consumers, pools, and the ways it has to come back."""
import socket
from kombu import Connection, Consumer, Exchange, Producer, Queue, binding
from kombu.mixins import ConsumerProducerMixin
from kombu.pools import connections, producers
from kombu.utils.limits import TokenBucket
from dialogue import ask, limited, say, url, vhost

connection = Connection(url)
channel = connection.channel()


def refused(what, act, on=connection):
    channel = on.channel()
    try:
        act(channel)
        say(what, "was not refused")
    except on.channel_errors as error:
        say(what, type(error).__name__, error.reply_code, error.reply_text, error.method_name)


def until(count, size):
    """RabbitMQ counts ahead of publishes that are on their way."""
    while size() != count:
        pass
    return count


def drain(count):
    while len(seen) < count:
        connection.drain_events(timeout=5)


# Declared entities
exchange = Exchange("mine", type="topic", durable=False)
queue = Queue("mine", exchange, routing_key="k.#", durable=False, max_length=100)(channel)
say("declared", queue.declare(), queue.queue_declare(passive=True).message_count)
refused("passive", lambda c: Queue("missing")(c).queue_declare(passive=True))
refused("inequivalent", lambda c: Queue("mine", durable=True)(c).queue_declare())
refused("inequivalent", lambda c: Exchange("mine", type="direct", durable=False)(c).declare())
refused("bind", lambda c: Queue("mine", durable=False)(c).bind_to("missing", "k"))
refused("reserved", lambda c: Queue("amq.mine")(c).queue_declare())
refused("get", lambda c: Queue("missing")(c).get())
refused("argument", lambda c: Queue("bad", message_ttl=-1)(c).queue_declare())

# Producers: serializers, compression, returns, confirms, priorities
seen = []
producer = Producer(channel, exchange, routing_key="k.a", serializer="json", on_return=lambda *returned: seen.append(returned))
producer.publish({"n": 1}, headers={"h": [1, True, None]}, priority=3, expiration=60, correlation_id="c", delivery_mode=1)
message = queue.get()
say("message", message.payload, message.headers, message.content_type, message.properties, message.delivery_info)
message.ack()
producer.publish("text", compression="zlib")
message = queue.get(no_ack=True)
say("compressed", message.payload, message.headers)
producer.publish(b"raw", content_type="application/x-raw", content_encoding="binary")
say("raw", queue.get(no_ack=True).body, queue.get())
producer.publish({"n": 2}, routing_key="nowhere", mandatory=True)
drain(1)
[(error, exchange_name, key, message)] = seen
say("returned", error.reply_code, error.reply_text, exchange_name, key, message.body)

# Consumers: acks, rejections, requeues, prefetch
seen = []


def on_message(body, message):
    seen.append((body, message.delivery_info["redelivered"]))
    if body == 1 and not message.delivery_info["redelivered"]:
        message.requeue()
    elif body == 2:
        message.reject()
    else:
        message.ack()


for n in range(4):
    producer.publish(n)
with Consumer(connection.channel(), [queue], callbacks=[on_message], prefetch_count=1):
    drain(5)
    try:
        connection.drain_events(timeout=0.1)
    except socket.timeout:
        say("consumed", seen)

# Several queues and kinds of exchange, bound to one another
fanout = Exchange("all", type="fanout", auto_delete=True)
headers = Exchange("headers", type="headers", durable=False)
bound = Queue("bound", [
    binding(fanout), binding(headers, arguments={"x-match": "any", "a": 1, "b": 2})], exclusive=True)(channel)
bound.declare()
Exchange("inner", type="fanout", durable=False)(channel).declare()
Exchange("inner")(channel).bind_to("all")
inner = Queue("inner", Exchange("inner", type="fanout", durable=False), exclusive=True)(channel)
inner.declare()
Producer(channel).publish("f", exchange="all")
Producer(channel).publish("h", exchange="headers", headers={"a": 1})
Producer(channel).publish("-", exchange="headers", headers={"a": 2})
say("bound", [bound.get(no_ack=True).payload for _ in range(2)], bound.get(), inner.get(no_ack=True).payload)
spare = Queue("spare", Exchange("spare", type="fanout", durable=False), exclusive=True)(channel)
spare.declare()
main = Exchange("main", type="direct", durable=False, arguments={"alternate-exchange": "spare"})(channel)
main.declare()
Producer(channel).publish("x", exchange="main", routing_key="unknown")
say("alternate", spare.get(no_ack=True).payload)
for name in ["headers", "main", "inner", "spare"]:
    Exchange(name)(channel).delete()

# Time to live, dead letters, priorities
dead = Queue("dead", exclusive=True)(channel)
dead.queue_declare()
short = Queue("short", exclusive=True, message_ttl=0.02, queue_arguments={
    "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"})(channel)
short.queue_declare()
Producer(channel).publish("late", routing_key="short")
until(1, lambda: dead.queue_declare(passive=True).message_count)
message = dead.get(no_ack=True)
say("dead", message.payload, message.headers["x-first-death-reason"], message.headers["x-death"][0]["count"])
ranked = Queue("ranked", exclusive=True, max_priority=5)(channel)
ranked.queue_declare()
for priority in [1, 5, 3]:
    Producer(channel).publish(priority, routing_key="ranked", priority=priority)
say("ranked", [ranked.get(no_ack=True).payload for _ in range(3)])

# Consumers that the broker ends
gone = Queue("gone", durable=False)(channel)
gone.queue_declare()
with Consumer(connection.channel(), [gone], callbacks=[on_message], tag_prefix="tag-"):
    try:
        connection.default_channel.queue_delete("gone")
        while True:
            connection.drain_events(timeout=5)
    except connection.channel_errors + connection.connection_errors as error:
        say("cancelled", type(error).__name__)

# Simple queues
simple = connection.SimpleQueue("simple")
simple.put({"hello": "world"})
simple.put("second")
say("size", until(2, simple.qsize), len(simple))
message = simple.get(block=True, timeout=5)
say("simple", message.payload)
message.ack()
message = simple.get(timeout=5)
message.requeue()
message = simple.get(timeout=5)
say("again", message.payload, message.delivery_info["redelivered"])
message.ack()
try:
    simple.get_nowait()
except simple.Empty:
    say("empty")
try:
    simple.get(timeout=0.1)
except simple.Empty:
    say("empty")
simple.close()
other = connection.SimpleQueue("other")
other.put("left")
until(1, other.qsize)
say("cleared", other.clear())
other.close()
buffer = connection.SimpleBuffer("buffer")
buffer.put([1, 2])
say("buffer", buffer.get(timeout=5).payload)
buffer.close()

# Pools
with connections[Connection(url)].acquire(block=True) as pooled:
    say("pooled", pooled.default_channel.queue_declare("mine", passive=True).message_count)
for n in range(3):
    with producers[Connection(url)].acquire(block=True) as pooled:
        pooled.publish(n, exchange=exchange, routing_key="k", declare=[queue])
with connection.ChannelPool(2).acquire() as pooled:
    say("through a pool", [Queue("mine")(pooled).get(no_ack=True).payload for _ in range(3)])

# Confirms: what is refused is an error
confirming = Connection(url, transport_options={"confirm_publish": True})
full = Queue("full", exclusive=True, max_length=0, queue_arguments={"x-overflow": "reject-publish"})(confirming.channel())
full.queue_declare()
Producer(confirming.channel()).publish("confirmed", exchange="mine", routing_key="k")
try:
    Producer(confirming.channel()).publish("too much", routing_key="full")
except Exception as error:
    say("nacked", type(error).__name__)
say("confirmed", queue.get(no_ack=True).payload)
refused("locked", lambda c: Queue("full")(c).queue_declare(passive=True))
confirming.close()

# Who may not
with Connection(limited) as other:
    refused("access", lambda c: Queue("yours")(c).queue_declare(), other)
    refused("access", lambda c: Queue("yours")(c).get(), other)
for to in [url.replace("guest:guest", "guest:wrong"), url.replace(vhost, "nowhere")]:
    try:
        Connection(to).connect()
    except Exception as error:
        say("not let in", type(error).__name__, error)

# An alarm
states = []
blocked = Connection(url, transport_options={
    "on_blocked": lambda reason: states.append(reason), "on_unblocked": lambda: states.append("unblocked")})
Producer(blocked.channel()).publish("before", exchange="mine", routing_key="k")
ask("block")
Producer(blocked.default_channel).publish("through the alarm", exchange="mine", routing_key="k")
while not states:
    blocked.drain_events(timeout=5)
ask("unblock")
while len(states) < 2:
    blocked.drain_events(timeout=5)
say("alarm", states)
blocked.close()
until(2, lambda: queue.queue_declare(passive=True).message_count)
say("purged", queue.purge())
connection.close()

# A producer that comes back by itself: kombu's retry policy, with confirms
publisher = Connection(url, transport_options={"confirm_publish": True})
producer = Producer(publisher.channel(), exchange, routing_key="k")
policy = {"max_retries": 20, "interval_start": 0.02, "interval_step": 0.02}
for text in ["first", "drop", "second", "close", "third"]:
    if text in ["drop", "close"]:
        ask(text)
    producer.publish(text, retry=True, retry_policy=policy, declare=[queue])
queue = queue.bind(publisher.channel())
say("published", [queue.get(no_ack=True).payload for _ in range(5)], queue.get())


class Worker(ConsumerProducerMixin):
    """What Celery and others build on: it consumes again after whatever ended its connection."""

    # By itself it waits a second before it starts again.
    restart_limit = TokenBucket(1000)

    def __init__(self):
        self.connection = Connection(url)
        self.starts = 0

    def get_consumers(self, Consumer, channel):
        self.starts += 1
        return [Consumer([Queue("mine", exchange, routing_key="k.#", durable=False, max_length=100)],
                         callbacks=[self.on_message], prefetch_count=1)]

    def on_message(self, body, message):
        if body in ["drop", "close"] and not message.delivery_info["redelivered"]:
            return ask(body)
        message.ack()
        if body in ["drop", "close"]:
            say("worked", body, message.delivery_info["redelivered"])
        if body == "end":
            say("starts", self.starts)
            self.should_stop = True


with Connection(url) as other:
    for text in ["drop", "close", "drop", "end"]:
        Producer(other.channel()).publish(text, exchange="mine", routing_key="k")
Worker().run()
with Connection(url) as other:
    say("deleted", Queue("mine")(other.channel()).delete())
