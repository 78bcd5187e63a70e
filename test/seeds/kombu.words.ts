/**
 * The words of kombu's page on connections, and the numbers it gives them: facts, without its sentences.
 *
 * Source: kombu 1.x, API reference, "Broker Connections - kombu.connection". kombu has the BSD 3-Clause licence, copyright
 * 2009-2012 Ask Solem and contributors.
 *
 * `f(a)` is the parameter `a` of `f`, `f(a="b")` one of its values, `f raises E` an error of its.
 */
import type { Seed } from "./words.ts"

export const kombu: Seed = {
  name: "kombu",
  headings: [
    {
      heading: "BrokerConnection",
      words: [
        "kombu.connection",
        "BrokerConnection",
        "BrokerConnection(hostname)",
        "BrokerConnection(userid)",
        "BrokerConnection(password)",
        "BrokerConnection(virtual_host)",
        "BrokerConnection(port)",
        "BrokerConnection(insist)",
        "BrokerConnection(ssl)",
        "BrokerConnection(transport)",
        "BrokerConnection(transport=\"kombu.transport.pyamqplib.Transport\")",
        "BrokerConnection(transport=\"amqplib\")",
        "BrokerConnection(transport=\"pika\")",
        "BrokerConnection(transport=\"redis\")",
        "BrokerConnection(transport=\"memory\")",
        "BrokerConnection(connect_timeout)",
        "BrokerConnection(pool)",
        "BrokerConnection(backend_cls)"
      ]
    },
    {
      heading: "Usage",
      words: [
        "sample: Usage, BrokerConnection",
        "sample: Usage, connect",
        "sample: Usage, release"
      ]
    },
    {
      heading: "SimpleBuffer and SimpleQueue",
      words: [
        "BrokerConnection.SimpleBuffer",
        "BrokerConnection.SimpleBuffer(name)",
        "BrokerConnection.SimpleBuffer(no_ack)",
        "BrokerConnection.SimpleBuffer(queue_opts)",
        "BrokerConnection.SimpleBuffer(exchange_opts)",
        "BrokerConnection.SimpleBuffer(channel)",
        "BrokerConnection.SimpleQueue",
        "BrokerConnection.SimpleQueue(name)",
        "BrokerConnection.SimpleQueue(no_ack)",
        "BrokerConnection.SimpleQueue(queue_opts)",
        "BrokerConnection.SimpleQueue(exchange_opts)",
        "BrokerConnection.SimpleQueue(channel)"
      ]
    },
    {
      heading: "Methods and attributes of BrokerConnection",
      words: [
        "BrokerConnection.acquire",
        "BrokerConnection.channel",
        "BrokerConnection.channel_errors",
        "BrokerConnection.clone",
        "BrokerConnection.clone(**kwargs)",
        "BrokerConnection.close",
        "BrokerConnection.connect",
        "BrokerConnection.connection",
        "BrokerConnection.connection_errors",
        "BrokerConnection.create_backend",
        "BrokerConnection.create_transport",
        "BrokerConnection.drain_events",
        "BrokerConnection.drain_events(timeout)",
        "BrokerConnection.drain_events raises socket.timeout",
        "BrokerConnection.get_transport_cls",
        "BrokerConnection.host",
        "BrokerConnection.info",
        "BrokerConnection.release",
        "BrokerConnection.transport"
      ]
    },
    {
      heading: "ensure and ensure_connection",
      words: [
        "BrokerConnection.ensure",
        "BrokerConnection.ensure(fun)",
        "BrokerConnection.ensure(errback)",
        "BrokerConnection.ensure(max_retries)",
        "BrokerConnection.ensure(interval_start)",
        "BrokerConnection.ensure(interval_step)",
        "BrokerConnection.ensure(interval_max)",
        "sample: ensure, a publish operation",
        "BrokerConnection.ensure_connection",
        "BrokerConnection.ensure_connection(errback)",
        "BrokerConnection.ensure_connection(max_retries)",
        "BrokerConnection.ensure_connection(interval_start)",
        "BrokerConnection.ensure_connection(interval_step)",
        "BrokerConnection.ensure_connection(interval_max)"
      ]
    },
    {
      heading: "BrokerConnectionPool",
      words: [
        "BrokerConnectionPool",
        "BrokerConnectionPool(initial)",
        "BrokerConnectionPool(max)",
        "BrokerConnectionPool(ensure)",
        "BrokerConnectionPool(preconnect)",
        "BrokerConnectionPool.acquire",
        "BrokerConnectionPool.acquire(block)",
        "BrokerConnectionPool.acquire(timeout)",
        "BrokerConnectionPool.acquire raises PoolExhausted",
        "BrokerConnectionPool.active",
        "BrokerConnectionPool.close",
        "BrokerConnectionPool.ensure",
        "BrokerConnectionPool.ensure(fun)",
        "BrokerConnectionPool.ensure(errback)",
        "BrokerConnectionPool.ensure(max_retries)",
        "BrokerConnectionPool.ensure(interval_start)",
        "BrokerConnectionPool.ensure(interval_step)",
        "BrokerConnectionPool.ensure(interval_max)",
        "BrokerConnectionPool.grow",
        "BrokerConnectionPool.grow(n)",
        "BrokerConnectionPool.grow(connect)",
        "BrokerConnectionPool.grow raises PoolLimitExceeded",
        "BrokerConnectionPool.release",
        "BrokerConnectionPool.release(connection)",
        "BrokerConnectionPool.replace",
        "BrokerConnectionPool.replace(connection)",
        "BrokerConnectionPool.total"
      ]
    }
  ],
  inDocs: ["BrokerConnection(backend_cls)", "BrokerConnection.create_backend"]
}

/** Times in seconds. `null`: none. */
export const defaults = {
  connection: {
    hostname: "localhost",
    userid: "guest",
    password: "guest",
    virtual_host: "/",
    port: null,
    insist: false,
    ssl: false,
    connect_timeout: 5
  },
  simple: { no_ack: false },
  ensure: { max_retries: null, interval_start: 1, interval_step: 1, interval_max: 1 },
  ensureConnection: { max_retries: null, interval_start: 2, interval_step: 2, interval_max: 30 },
  pool: { max: 10, ensure: false, preconnect: 0 },
  acquire: { block: true, timeout: null },
  poolEnsure: { max_retries: null, interval_start: 2, interval_step: 2, interval_max: 30 },
  grow: { connect: false }
} as const
