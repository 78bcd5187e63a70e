"""py-amqp by itself: its channels answer each request, and its callbacks run while events are drained."""
import socket
from urllib.parse import urlsplit
import amqp
from amqp.exceptions import MessageNacked
from dialogue import ask, limited, say, url, vhost


def connect(to=url, **options):
    parts = urlsplit(to)
    connection = amqp.Connection(f"{parts.hostname}:{parts.port}", userid=parts.username, password=parts.password,
                                 virtual_host=parts.path[1:], **options)
    connection.connect()
    return connection


connection = connect(confirm_publish=True)
say("server", connection.server_properties["capabilities"] == {
    name: True for name in ["publisher_confirms", "exchange_exchange_bindings", "basic.nack", "consumer_cancel_notify",
                            "connection.blocked", "consumer_priorities", "authentication_failure_close",
                            "per_consumer_qos", "direct_reply_to"]})
channel = connection.channel()


def refused(what, act, on=connection):
    channel = on.channel()
    try:
        act(channel)
        say(what, "was not refused")
    except amqp.AMQPError as error:
        say(what, type(error).__name__, error.reply_code, error.reply_text, error.method_name)


def publish(text, key, exchange="", on=None, **properties):
    (on or channel).basic_publish(amqp.Message(text, **properties), exchange=exchange, routing_key=key)


def got(queue, **options):
    message = channel.basic_get(queue, **options)
    return message and message.body


def until(count, queue):
    while channel.queue_declare(queue, passive=True).message_count != count:
        pass


# Declarations, and what contradicts them
say(*channel.queue_declare("mine", durable=True, auto_delete=False))
refused("passive", lambda c: c.queue_declare("missing", passive=True))
refused("passive", lambda c: c.exchange_declare("missing", "direct", passive=True))
refused("durable", lambda c: c.queue_declare("mine", auto_delete=False))
refused("auto-delete", lambda c: c.queue_declare("mine", durable=True))
refused("argument", lambda c: c.queue_declare("mine", durable=True, auto_delete=False, arguments={"x-expires": 10000}))
refused("argument", lambda c: c.queue_declare("bad", arguments={"x-max-priority": "high"}))
refused("type", lambda c: c.exchange_declare("amq.fanout", "direct", durable=True, auto_delete=False))
refused("reserved", lambda c: c.queue_declare("amq.mine"))
refused("bind", lambda c: c.queue_bind("mine", "missing"))
refused("unbind", lambda c: c.queue_unbind("mine", "missing"))
refused("default", lambda c: c.exchange_delete(""))
refused("get", lambda c: c.basic_get("missing"))
refused("consume", lambda c: c.basic_consume("missing"))
refused("purge", lambda c: c.queue_purge("missing"))
refused("delete", lambda c: (say("deleting nothing", c.queue_delete("missing")), c.basic_ack(3), c.queue_declare("mine", passive=True)))
refused("publish", lambda c: publish("", "k", "missing", c))

# The connection's own errors
for what, act in [("unknown type", lambda c: c.exchange_declare("x", "nonsense")),
                  ("same tag", lambda c: [c.basic_consume("mine", consumer_tag="tag", nowait=n) for n in (False, True)] and
                   c.connection.drain_events(timeout=5)),
                  ("immediate", lambda c: (c.basic_publish(amqp.Message("x"), routing_key="mine", immediate=True),
                                           c.connection.drain_events(timeout=5)))]:
    refused(what, act, connect())
for what, to in [("password", url.replace("guest:guest", "guest:wrong")), ("vhost", url.replace(vhost, "nowhere"))]:
    try:
        connect(to)
    except amqp.AMQPError as error:
        say(what, type(error).__name__, error.reply_code, error.reply_text)
for mechanism in ["EXTERNAL", "PLAIN", "AMQPLAIN"]:
    try:
        other = connect(login_method=mechanism)
        say(mechanism, other.connected)
    except amqp.AMQPError as error:
        say(mechanism, type(error).__name__)
channel.queue_declare("private", exclusive=True)
refused("locked", lambda c: c.queue_declare("private", exclusive=True), other)
refused("locked", lambda c: c.queue_delete("private"), other)
other.close()
other = connect(limited)
refused("configure", lambda c: c.exchange_declare("yours", "direct"), other)
refused("write", lambda c: c.queue_bind("yours", "amq.direct"), other)
refused("read", lambda c: c.queue_purge("yours"), other)
other.close()

# Confirms, returns, refusals
returned = []
channel.events["basic_return"].add(lambda *details: returned.append(details))
publish("one", "mine", headers={"n": 1}, content_type="text/plain", delivery_mode=2)
channel.basic_publish(amqp.Message("lost"), routing_key="nowhere", mandatory=True)
[(error, exchange, key, message)] = returned
say("returned", error.reply_code, error.reply_text, key, message.body)
channel.queue_declare("full", exclusive=True, arguments={"x-max-length": 0, "x-overflow": "reject-publish"})
try:
    publish("too much", "full")
except MessageNacked:
    say("nacked")

# Get, redelivery, recover, rejection
message = channel.basic_get("mine")
say("got", message.body, message.headers, message.properties["content_type"], message.delivery_info)
channel.basic_reject(message.delivery_tag, requeue=True)
message = channel.basic_get("mine")
say("again", message.delivery_info["redelivered"])
channel.basic_recover(requeue=True)
until(1, "mine")
say("recovered", channel.basic_get("mine", no_ack=True).delivery_info["redelivered"], got("mine"))

# A consumer, bounded
seen = []
for n in range(5):
    publish(str(n), "mine")
channel.basic_qos(0, 2, False)
tag = channel.basic_consume("mine", callback=seen.append, consumer_tag="bounded")
while len(seen) < 2:
    connection.drain_events(timeout=5)
say("held", tag, [message.body for message in seen], channel.queue_declare("mine", passive=True)[1:])
channel.basic_ack(seen[1].delivery_tag, multiple=True)
while len(seen) < 4:
    connection.drain_events(timeout=5)
channel.basic_cancel("bounded")
for message in seen[2:]:
    channel.basic_reject(message.delivery_tag, requeue=True)
until(3, "mine")
say("left", [got("mine", no_ack=True) for _ in range(4)])
try:
    connection.drain_events(timeout=0.05)
except socket.timeout:
    say("nothing more")

# Ended by the broker
cancelled = []
channel.queue_declare("gone", auto_delete=False)
channel.basic_consume("gone", consumer_tag="c", on_cancel=cancelled.append)
other = connect()
other.channel().queue_delete("gone")
other.close()
while not cancelled:
    connection.drain_events(timeout=5)
say("cancelled", cancelled)
channel.basic_consume("mine", exclusive=True, consumer_tag="only")
refused("exclusive", lambda c: c.basic_consume("mine"))
refused("in use", lambda c: c.queue_delete("mine", if_unused=True))
channel.basic_cancel("only")
publish("left", "mine")
refused("not empty", lambda c: c.queue_delete("mine", if_empty=True))
say("purged", channel.queue_purge("mine"))

# Routing
for queue in ["a", "b", "rest"]:
    channel.queue_declare(queue, exclusive=True)
channel.exchange_declare("spare", "fanout")
channel.exchange_declare("main", "topic", arguments={"alternate-exchange": "spare"})
channel.exchange_declare("next", "headers")
channel.queue_bind("rest", "spare")
channel.queue_bind("a", "main", "*.a")
channel.exchange_bind("next", "main", "#.b")
channel.queue_bind("b", "next", arguments={"x-match": "all", "h": "yes"})
publish("1", "x.a", "main")
publish("2", "x.y.b", "main", application_headers={"h": "yes"})
publish("3", "x.y.b", "main", application_headers={"h": "no"})
publish("4", "", "main")
say("routed", [got(queue, no_ack=True) for queue in ["a", "a", "b", "b", "rest", "rest"]])
channel.exchange_unbind("next", "main", "#.b")
publish("5", "x.y.b", "main")
say("unbound", got("rest", no_ack=True))
for exchange in ["main", "next", "spare"]:
    channel.exchange_delete(exchange)

# Time to live, dead letters, priorities, lengths
channel.queue_declare("dead", exclusive=True)
channel.queue_declare("short", exclusive=True, arguments={
    "x-message-ttl": 60000, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead", "x-max-length": 1})
publish("expires", "short", expiration="10")
until(1, "dead")
message = channel.basic_get("dead", no_ack=True)
say("dead", message.body, [(death["reason"], death["queue"], death["original-expiration"]) for death in message.headers["x-death"]])
publish("first", "short")
publish("second", "short")
until(1, "dead")
say("dead", got("dead", no_ack=True))
channel.basic_reject(channel.basic_get("short").delivery_tag, requeue=False)
until(1, "dead")
message = channel.basic_get("dead", no_ack=True)
say("dead", message.body, message.headers["x-death"][0]["reason"], message.headers["x-first-death-queue"])
channel.queue_declare("ranked", exclusive=True, arguments={"x-max-priority": 3})
for priority in [0, 9, 2, 3]:
    publish(str(priority), "ranked", priority=priority)
say("ranked", [got("ranked", no_ack=True) for _ in range(4)])

# Transactions
tx = connect().channel()
tx.tx_select()
publish("1", "mine", on=tx)
tx.tx_rollback()
publish("2", "mine", on=tx)
tx.tx_commit()
message = tx.basic_get("mine")
tx.basic_ack(message.delivery_tag)
tx.tx_rollback()
tx.basic_reject(message.delivery_tag, requeue=True)
tx.tx_commit()
until(1, "mine")
message = channel.basic_get("mine", no_ack=True)
say("transacted", message.body, message.delivery_info["redelivered"], got("mine"))
refused("mode", lambda c: (c.tx_select(), c.confirm_select()), tx.connection)
refused("mode", lambda c: c.tx_rollback(), connect())

# Direct reply-to
answers = []
channel.basic_consume("amq.rabbitmq.reply-to", no_ack=True, callback=answers.append)
publish("?", "mine", reply_to="amq.rabbitmq.reply-to", correlation_id="1")
message = channel.basic_get("mine", no_ack=True)
publish("!", message.properties["reply_to"], correlation_id="1")
while not answers:
    connection.drain_events(timeout=5)
say("answered", answers[0].body, answers[0].properties["correlation_id"])
refused("reply-to", lambda c: c.basic_consume("amq.rabbitmq.reply-to"))

# Bodies and tables
large = bytes(range(256)) * 2048
publish(large, "mine")
say("large", channel.basic_get("mine", no_ack=True).body == large)
table = {"b": False, "i": -1, "l": 1 << 40, "f": 1.5, "s": "text", "a": [1, [True]], "t": {"n": None}, "e": {}}
publish("", "mine", application_headers=table)
message = channel.basic_get("mine", no_ack=True)
say("empty", repr(message.body), message.headers == table)
say("flow", channel.flow(True))

# An alarm, on a connection that waits for no confirms: those stay away while it lasts
alarms = []
plain = connect(on_blocked=alarms.append, on_unblocked=lambda: alarms.append("over"))
ask("block")
publish("through the alarm", "mine", on=plain.channel())
while not alarms:
    plain.drain_events(timeout=5)
ask("unblock")
while len(alarms) < 2:
    plain.drain_events(timeout=5)
until(1, "mine")
say("alarm", alarms, got("mine", no_ack=True))

# py-amqp does not come back by itself: its errors tell who uses it that connecting again may help
for wish in ["drop", "close", "drop"]:
    ask(wish)
    try:
        connection.drain_events(timeout=5)
    except connection.recoverable_connection_errors as error:
        say(wish, *([error.reply_code, error.reply_text] if wish == "close" else []))
    say("connected", connection.connected)
    connection = connect(confirm_publish=True)
    channel = connection.channel()
    publish(wish, "mine")
    say("after it", got("mine", no_ack=True), connection.connected)
say("deleted", channel.queue_delete("mine"))
connection.close()
