"""pika's blocking adapter."""
import pika
from pika.exceptions import (ChannelClosedByBroker, ConnectionClosedByBroker, ConsumerCancelled,
                             NackError, ProbableAccessDeniedError, ProbableAuthenticationError, StreamLostError, UnroutableError)
from dialogue import ask, limited, say, url, vhost


def connect(to=url, **options):
    parameters = pika.URLParameters(to)
    for name, value in options.items():
        setattr(parameters, name, value)
    return pika.BlockingConnection(parameters)


connection = connect()
channel = connection.channel()


def refused(what, act, on=None):
    """A channel exception: its code and text. The channel is gone; the next step has a new one."""
    global channel
    try:
        act(on or connection.channel())
        say(what, "was not refused")
    except ChannelClosedByBroker as error:
        say(what, error.reply_code, error.reply_text)


def ended(what, act, to=url):
    """A connection exception, on a connection of its own."""
    try:
        other = connect(to)
        act(other)
        say(what, "was not refused")
    except ConnectionClosedByBroker as error:
        say(what, error.reply_code, error.reply_text)


def got(queue, **options):
    method, properties, body = channel.basic_get(queue, **{"auto_ack": True, **options})
    return body and body.decode()


def settled(queue, count):
    """Waits until so many messages are ready: dead letters and expiries come a little later."""
    while channel.queue_declare(queue, passive=True).method.message_count != count:
        connection.sleep(0.01)


# Declarations, and what contradicts them
declared = channel.queue_declare("mine", durable=True).method
say("declared", declared.queue, declared.message_count, declared.consumer_count)
refused("passive", lambda c: c.queue_declare("missing", passive=True))
refused("passive", lambda c: c.exchange_declare("missing", passive=True))
refused("durable", lambda c: c.queue_declare("mine", durable=False))
refused("argument", lambda c: c.queue_declare("mine", durable=True, arguments={"x-max-length": 3}))
refused("argument", lambda c: c.queue_declare("bad", arguments={"x-message-ttl": -1}))
refused("type", lambda c: c.exchange_declare("amq.direct", "fanout", durable=True))
refused("reserved", lambda c: c.queue_declare("amq.mine"))
refused("reserved", lambda c: c.exchange_declare("amq.mine"))
refused("bind", lambda c: c.queue_bind("mine", "missing", "k"))
refused("bind", lambda c: c.queue_bind("missing", "amq.direct", "k"))
refused("default", lambda c: c.queue_bind("mine", "", "k"))
refused("delete", lambda c: c.exchange_delete("amq.direct"))
refused("get", lambda c: c.basic_get("missing"))
refused("consume", lambda c: c.basic_consume("missing", lambda *_: None))
refused("ack", lambda c: (c.basic_ack(7), c.queue_declare("mine", passive=True)))
refused("publish", lambda c: (c.basic_publish("missing", "k", b""), c.queue_declare("mine", durable=True)))

# Locked by others
channel.queue_declare("private", exclusive=True)
other = connect()
refused("locked", lambda c: c.queue_declare("private", exclusive=True), other.channel())
refused("locked", lambda c: c.basic_get("private"), other.channel())
other.close()
channel.queue_delete("private")

# Permissions
other = connect(limited)
refused("configure", lambda c: c.queue_declare("yours"), other.channel())
refused("write", lambda c: (c.basic_publish("amq.direct", "k", b""), c.queue_declare("mine", passive=True)), other.channel())
refused("read", lambda c: c.basic_get("yours"), other.channel())
say("may", other.channel().queue_declare("mine", passive=True).method.queue)
other.close()

# Connections that end
for what, to in [("password", url.replace("guest:guest", "guest:wrong")), ("vhost", url.replace(vhost, "nowhere"))]:
    try:
        connect(to)
    except (ProbableAuthenticationError, ProbableAccessDeniedError) as error:
        say(what, error)


def immediately(other):
    method = pika.spec.Basic.Publish(exchange="", routing_key="mine", immediate=True)
    channel = other.channel()
    channel._impl._send_method(method, (pika.BasicProperties(), b"x"))
    other.process_data_events(5)


def same_tag(other):
    channel = other.channel()
    channel.basic_consume("mine", lambda *_: None, consumer_tag="tag")
    channel._impl._send_method(pika.spec.Basic.Consume(queue="mine", consumer_tag="tag"))
    other.process_data_events(5)


ended("immediate", immediately)
ended("tag", same_tag)
ended("type", lambda other: other.channel().exchange_declare("x", "nonsense"))

# Confirms, returns, refusals of publishes
channel.confirm_delivery()
for n in range(5):
    channel.basic_publish("", "mine", b"m%d" % n, pika.BasicProperties(headers={"n": n}, delivery_mode=2), mandatory=True)
try:
    channel.basic_publish("", "nowhere", b"lost", mandatory=True)
except UnroutableError as error:
    say("returned", error.messages[0].method.reply_code, error.messages[0].method.reply_text, error.messages[0].body)
channel.queue_declare("full", arguments={"x-max-length": 1, "x-overflow": "reject-publish"})
channel.basic_publish("", "full", b"1")
try:
    channel.basic_publish("", "full", b"2")
except NackError as error:
    say("nacked", len(error.messages))
channel.queue_delete("full")

# Taking, giving back, redelivery
method, properties, body = channel.basic_get("mine")
say("got", method.message_count, method.redelivered, properties.headers, properties.delivery_mode, body)
channel.basic_nack(method.delivery_tag, requeue=True)
channel.basic_qos(prefetch_count=2)
for method, properties, body in channel.consume("mine", inactivity_timeout=5):
    say("consumed", method.redelivered, body)
    channel.basic_ack(method.delivery_tag)
    if body == b"m4":
        break
say("requeued", channel.cancel())
say("empty", got("mine"))

# Recover, reject, ack of many
for text in "abcd":
    channel.basic_publish("", "mine", text)
tags = [channel.basic_get("mine")[0].delivery_tag for _ in range(4)]
channel.basic_ack(tags[1], multiple=True)
channel.basic_reject(tags[2], requeue=False)
channel.basic_recover(requeue=True)
settled("mine", 1)
method, _, body = channel.basic_get("mine", auto_ack=True)
say("recovered", method.redelivered, body)

# Routing
for kind, keys in [("topic", ["a.*", "#.z", "a.b.c"]), ("direct", ["a.b", "a.b.c"]), ("fanout", [""])]:
    channel.exchange_declare(kind, kind, auto_delete=True)
    for index, key in enumerate(keys):
        queue = channel.queue_declare(f"{kind}{index}", exclusive=True).method.queue
        channel.queue_bind(queue, kind, key)
    for key in ["a.b", "a.b.c", "x.z", "q"]:
        channel.basic_publish(kind, key, key)
    for index, key in enumerate(keys):
        texts = []
        while (text := got(f"{kind}{index}")) is not None:
            texts.append(text)
        say(kind, key, texts)
channel.exchange_declare("headers", "headers")
channel.queue_declare("all", exclusive=True)
channel.queue_declare("any", exclusive=True)
channel.queue_bind("all", "headers", "", {"x-match": "all", "a": 1, "b": "x"})
channel.queue_bind("any", "headers", "", {"x-match": "any", "a": 1, "b": "x"})
for headers in [{"a": 1}, {"a": 1, "b": "x", "c": True}, {"a": "1"}]:
    channel.basic_publish("headers", "", b"h", pika.BasicProperties(headers=headers))
say("headers", *[channel.queue_declare(queue, passive=True).method.message_count for queue in ["all", "any"]])
channel.exchange_declare("spare", "fanout")
channel.exchange_declare("main", "direct", arguments={"alternate-exchange": "spare"})
channel.exchange_declare("inner", "fanout", internal=True)
channel.exchange_bind("inner", "spare")
channel.queue_declare("rest", exclusive=True)
channel.queue_bind("rest", "inner")
channel.basic_publish("main", "unknown", b"found another way", mandatory=True)
say("alternate", got("rest"))
channel.exchange_unbind("inner", "spare")
try:
    channel.basic_publish("main", "unknown", b"x", mandatory=True)
except UnroutableError as error:
    say("unbound", error.messages[0].method.exchange, error.messages[0].method.routing_key)
refused("internal", lambda c: (c.basic_publish("inner", "", b""), c.queue_declare("mine", passive=True)))
refused("in use", lambda c: c.exchange_delete("headers", if_unused=True))
for exchange in ["headers", "main", "inner", "spare"]:
    channel.exchange_delete(exchange)

# Time to live, dead letters, priorities, lengths
channel.queue_declare("dead", exclusive=True)
channel.queue_declare("short", exclusive=True, arguments={
    "x-message-ttl": 20, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"})
channel.basic_publish("", "short", b"late")
settled("dead", 1)
_, properties, body = channel.basic_get("dead", auto_ack=True)
death = properties.headers["x-death"][0]
say("dead", body, death["reason"], death["queue"], death["count"], death["routing-keys"], sorted(properties.headers))
channel.basic_publish("", "short", b"rejected", pika.BasicProperties(expiration="60000"))
channel.queue_declare("ranked", exclusive=True, arguments={"x-max-priority": 5})
for priority in [1, 5, 3, 9, 0]:
    channel.basic_publish("", "ranked", str(priority), pika.BasicProperties(priority=priority))
say("ranked", [got("ranked") for _ in range(5)])
channel.queue_declare("newest", exclusive=True, arguments={"x-max-length": 2})
for text in "abc":
    channel.basic_publish("", "newest", text)
settled("newest", 2)
say("newest", [got("newest") for _ in range(2)])

# Consumers that the broker ends, and exclusive ones
channel.queue_declare("gone")
other = connect()
try:
    for method, properties, body in channel.consume("gone", inactivity_timeout=0.1):
        if method is None and other.is_open:
            other.channel().queue_delete("gone")
            other.close()
    say("the generator ended")
except ConsumerCancelled as error:
    say("cancelled", error)
channel.cancel()
channel.basic_consume("mine", lambda *_: None, exclusive=True, consumer_tag="only")
refused("exclusive", lambda c: c.basic_consume("mine", lambda *_: None))
refused("in use", lambda c: c.queue_delete("mine", if_unused=True))
channel.basic_cancel("only")
channel.basic_publish("", "mine", b"left")
refused("not empty", lambda c: c.queue_delete("mine", if_empty=True))
say("purged", channel.queue_purge("mine").method.message_count)

# Large and empty bodies, all properties
large = bytes(range(256)) * 4096
channel.basic_publish("", "mine", large)
channel.basic_publish("", "mine", b"", pika.BasicProperties(
    content_type="text/plain", content_encoding="utf-8", headers={"t": True, "l": [1, "a", {"n": None}]}, delivery_mode=1,
    priority=3, correlation_id="c", reply_to="r", expiration="60000", message_id="m", timestamp=1700000000, type="t",
    user_id="guest", app_id="a", cluster_id="x"))
say("large", channel.basic_get("mine", auto_ack=True)[2] == large)
say("properties", channel.basic_get("mine", auto_ack=True)[1])
refused("user", lambda c: (c.basic_publish("", "mine", b"", pika.BasicProperties(user_id="other")),
                           c.queue_declare("mine", passive=True)))

# Transactions
tx = connection.channel()
tx.tx_select()
tx.basic_publish("", "mine", b"1")
say("before", channel.queue_declare("mine", passive=True).method.message_count)
tx.tx_commit()
say("after", channel.queue_declare("mine", passive=True).method.message_count)
tag = tx.basic_get("mine")[0].delivery_tag
tx.basic_ack(tag)
tx.basic_publish("", "mine", b"2")
tx.tx_rollback()
tx.basic_nack(tag, requeue=True)
tx.tx_commit()
say("back", got("mine"), got("mine"))
refused("mode", lambda c: c.confirm_delivery(), tx)
refused("mode", lambda c: (c.confirm_delivery(), c.tx_select()))
refused("mode", lambda c: c.tx_commit())

# Direct reply-to
answers = []
asking = connection.channel()
asking.basic_consume("amq.rabbitmq.reply-to", lambda c, m, p, b: answers.append((p.correlation_id, b)), auto_ack=True)
asking.basic_publish("", "mine", b"ping", pika.BasicProperties(reply_to="amq.rabbitmq.reply-to", correlation_id="7"))
properties = None
while properties is None:  # from another channel: it may come a little later
    _, properties, body = channel.basic_get("mine", auto_ack=True)
channel.basic_publish("", properties.reply_to, body + b" pong", pika.BasicProperties(correlation_id="7"))
while not answers:
    connection.process_data_events(1)
say("answered", answers)
refused("reply-to", lambda c: c.basic_consume("amq.rabbitmq.reply-to", lambda *_: None))
refused("reply-to", lambda c: (c.basic_publish("", "mine", b"", pika.BasicProperties(reply_to="amq.rabbitmq.reply-to")),
                               c.queue_declare("mine", passive=True)))

# An alarm
connection.add_on_connection_blocked_callback(lambda _, frame: say("blocked", frame.method.reason))
unblocked = []
connection.add_on_connection_unblocked_callback(lambda *_: unblocked.append(True))
ask("block")
plain = connection.channel()
plain.basic_publish("", "mine", b"through the alarm")
connection.process_data_events(0.5)
ask("unblock")
while not unblocked:
    connection.process_data_events(1)
settled("mine", 1)
say("unblocked", got("mine"))

# Connections that end: with a word, and without; pika's own way to come back is to connect again
attempts = 0


def consume_until(text):
    """As pika's documentation has it: a loop that connects again whatever ends the connection."""
    global connection, channel, attempts
    while True:
        try:
            connection = connect(connection_attempts=5, retry_delay=0.05)
            channel = connection.channel()
            attempts += 1
            channel.basic_qos(prefetch_count=1)
            for method, properties, body in channel.consume("mine"):
                say("consumed", body, method.redelivered)
                if body != text and not method.redelivered:
                    ask(body.decode())
                    continue
                channel.basic_ack(method.delivery_tag)
                if body == text:
                    return
        except ConnectionClosedByBroker as error:
            say("closed", error.reply_code, error.reply_text)
        except StreamLostError:
            say("lost")


channel.confirm_delivery()
for text in ["drop", "close", "drop", "end"]:
    channel.basic_publish("", "mine", text, mandatory=True)
connection.close()
consume_until(b"end")
say("attempts", attempts)
channel.cancel()
say("deleted", channel.queue_delete("mine").method.message_count)
connection.close()
