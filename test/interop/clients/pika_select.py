"""pika's select adapter: callbacks all the way, written as a generator that waits for each of them."""
import functools
import pika
from dialogue import ask, say, url

parameters = pika.URLParameters(url)


class Program:
    """Steps in order: each gives `reply` as a callback, and yields until it is called; with what, the yield tells."""

    def __init__(self, connection, steps):
        self.ioloop = connection.ioloop
        self.results = []
        self.steps = steps(connection, self.reply)
        self.running = True
        next(self.steps)
        self.running = False

    def reply(self, *results):
        self.results.append(results)
        if self.running:
            return
        self.running = True
        try:
            while self.results:
                self.steps.send(self.results.pop(0))
        except StopIteration:
            self.ioloop.stop()
        self.running = False


def steps(connection, reply):
    def closed(channel, reason):
        reply("closed", reason.reply_code, reason.reply_text)

    def channel():
        connection.channel(on_open_callback=reply)

    channel()
    one, = yield
    one.add_on_close_callback(closed)
    say("open", one.channel_number)

    def refused(what, act):
        channel()
        other, = yield
        other.add_on_close_callback(closed)
        act(other)
        _, code, text = yield
        say(what, code, text)

    one.queue_declare("mine", durable=True, callback=reply)
    frame, = yield
    say("declared", frame.method.queue, frame.method.message_count, frame.method.consumer_count)
    yield from refused("passive", lambda c: c.queue_declare("missing", passive=True))
    yield from refused("durable", lambda c: c.queue_declare("mine"))
    yield from refused("get", lambda c: c.basic_get("missing", reply))
    yield from refused("consume", lambda c: c.basic_consume("missing", reply))
    yield from refused("ack", lambda c: c.basic_ack(7))
    yield from refused("publish", lambda c: c.basic_publish("missing", "k", b""))
    yield from refused("delete", lambda c: c.exchange_delete("amq.topic"))

    # Confirms and returns
    one.confirm_delivery(ack_nack_callback=lambda frame: reply(frame.method.NAME, frame.method.delivery_tag), callback=reply)
    frame, = yield
    say(frame.method.NAME)
    one.add_on_return_callback(lambda c, method, properties, body: reply("returned", method.reply_code, method.reply_text, body))
    one.basic_publish("", "mine", b"1")
    say(*(yield))
    one.basic_publish("", "nowhere", b"lost", mandatory=True)
    say(*(yield))
    say(*(yield))
    one.queue_declare("full", arguments={"x-max-length": 0, "x-overflow": "reject-publish"}, callback=reply)
    yield
    one.basic_publish("", "full", b"2")
    say(*(yield))
    one.queue_delete("full", callback=reply)
    yield

    # Get, redelivery, an empty queue
    one.basic_get("mine", lambda c, method, properties, body: reply(method, body))
    method, body = yield
    say("got", method.redelivered, body)
    one.basic_nack(method.delivery_tag, requeue=True)
    one.basic_get("mine", lambda c, method, properties, body: reply(method, body))
    method, body = yield
    say("got", method.redelivered, body)
    one.basic_ack(method.delivery_tag)
    one.add_callback(lambda frame: reply(frame.method.NAME), [pika.spec.Basic.GetEmpty])
    one.basic_get("mine", reply)
    say(*(yield))

    # A consumer, its prefetch, and its end by the client
    one.basic_qos(prefetch_count=2, callback=reply)
    yield
    for n in range(4):
        one.basic_publish("", "mine", b"m%d" % n)
    confirmed = 0
    while confirmed < 7:
        _, confirmed = yield
    tag = one.basic_consume("mine", lambda c, method, properties, body: reply(method, body))
    held = []
    for _ in range(2):
        method, body = yield
        held.append((method.delivery_tag, body))
    say("held", held)
    one.queue_declare("mine", passive=True, callback=reply)
    frame, = yield
    say("waiting", frame.method.message_count, frame.method.consumer_count)
    one.basic_ack(held[-1][0], multiple=True)
    for _ in range(2):
        method, body = yield
        say("then", body)
        one.basic_reject(method.delivery_tag, requeue=False)
    one.basic_cancel(tag, callback=reply)
    frame, = yield
    say(frame.method.NAME)

    # And by the broker
    one.queue_declare("gone", callback=reply)
    yield
    one.add_on_cancel_callback(lambda frame: reply("cancelled", frame.method.consumer_tag))
    one.basic_consume("gone", reply, consumer_tag="c", callback=reply)
    yield
    channel()
    two, = yield
    two.queue_delete("gone", callback=lambda frame: None)
    say(*(yield))

    # Exchanges bound to exchanges, and an alternate one
    for name, kind, arguments in [("spare", "fanout", None), ("main", "topic", {"alternate-exchange": "spare"})]:
        two.exchange_declare(name, kind, arguments=arguments, callback=reply)
        frame, = yield
        say(name, frame.method.NAME)
    two.queue_declare("", exclusive=True, callback=reply)
    frame, = yield
    private = frame.method.queue
    say("named", private[:8], len(private))
    two.exchange_bind("spare", "main", "a.#", callback=reply)
    yield
    two.queue_bind(private, "spare", callback=reply)
    yield
    for key in ["a.b.c", "b"]:
        two.basic_publish("main", key, key)
    for _ in range(2):
        two.basic_get(private, lambda c, method, properties, body: reply(method, body), auto_ack=True)
        method, body = yield
        say("routed", method.exchange, method.routing_key, body)
    for name in ["main", "spare"]:
        two.exchange_delete(name, callback=reply)
        frame, = yield
        say(frame.method.NAME)

    # Transactions
    two.tx_select(callback=reply)
    yield
    two.basic_publish("", "mine", b"tx")
    two.tx_rollback(callback=reply)
    yield
    two.basic_publish("", "mine", b"tx")
    two.tx_commit(callback=reply)
    yield
    one.queue_purge("mine", callback=reply)
    frame, = yield
    say("purged", frame.method.message_count)

    # Direct reply-to
    one.basic_consume("amq.rabbitmq.reply-to", lambda c, m, p, body: reply("answer", p.correlation_id, body), auto_ack=True,
                      callback=reply)
    yield
    one.basic_publish("", "mine", b"?", pika.BasicProperties(reply_to="amq.rabbitmq.reply-to", correlation_id="1"))
    yield
    one.basic_get("mine", lambda c, method, properties, body: reply(properties), auto_ack=True)
    properties, = yield
    say("asked", properties.reply_to.startswith("amq.rabbitmq.reply-to."))
    channel()
    three, = yield
    three.basic_publish("", properties.reply_to, b"!", pika.BasicProperties(correlation_id=properties.correlation_id))
    say(*(yield))

    # An alarm
    connection.add_on_connection_blocked_callback(lambda _, frame: reply("blocked", frame.method.reason))
    connection.add_on_connection_unblocked_callback(lambda _, frame: reply(frame.method.NAME))
    ask("block")
    three.basic_publish("", "mine", b"through the alarm")
    say(*(yield))
    ask("unblock")
    say(*(yield))

    # Flow, and a close of both kinds
    three.flow(True, callback=reply)
    say("flow", *(yield))
    three.add_on_close_callback(closed)
    three.close(200, "enough")
    say(*(yield))
    one.queue_delete("mine", callback=reply)
    frame, = yield
    say("deleted", frame.method.message_count)
    connection.add_on_close_callback(lambda _, reason: reply("connection", type(reason).__name__, reason.reply_code, reason.reply_text))
    two.queue_declare("mine", callback=reply)
    yield
    three = None
    two.basic_consume("mine", reply, consumer_tag="twice", callback=reply)
    yield
    two._send_method(pika.spec.Basic.Consume(queue="mine", consumer_tag="twice"))
    while (result := (yield))[0] == "closed":
        pass
    say(*result)


pika.SelectConnection(parameters, on_open_callback=lambda connection: Program(connection, steps)).ioloop.start()

# Logins that fail
for what, to in [("password", url.replace("guest:guest", "guest:wrong")), ("vhost", url + "-not")]:
    def failed(connection, error):
        say(what, error)
        connection.ioloop.stop()

    pika.SelectConnection(pika.URLParameters(to), on_open_error_callback=failed).ioloop.start()


class ReconnectingConsumer:
    """As pika's own example has it: whatever ends the connection, a new one is made by who runs the loop."""

    def __init__(self):
        self.done = False
        self.connection = pika.SelectConnection(parameters, on_open_callback=self.opened, on_close_callback=self.closed,
                                                on_open_error_callback=self.closed)

    def opened(self, connection):
        connection.channel(on_open_callback=self.channel_opened)

    def channel_opened(self, channel):
        channel.basic_qos(prefetch_count=1)
        channel.basic_consume("mine", functools.partial(self.message, channel))

    def message(self, channel, _, method, properties, body):
        say("consumed", body, method.redelivered)
        if body != b"end" and not method.redelivered:
            return ask(body.decode())
        channel.basic_ack(method.delivery_tag)
        if body == b"end":
            self.done = True
            self.connection.close()

    def closed(self, connection, reason):
        say("over", type(reason).__name__, *(reason.args if hasattr(reason, "reply_code") else []))
        connection.ioloop.stop()


publisher = pika.BlockingConnection(parameters)
publishing = publisher.channel()
publishing.queue_declare("mine")
for text in ["drop", "close", "drop", "end"]:
    publishing.basic_publish("", "mine", text)
publisher.close()
consumers = 0
while True:
    consumer = ReconnectingConsumer()
    consumers += 1
    consumer.connection.ioloop.start()
    if consumer.done:
        break
say("consumers", consumers)
