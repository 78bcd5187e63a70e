/**
 * The words of pika's page on connections, and the numbers it gives them: facts, without its sentences.
 *
 * Source: pika 1.3, "Connection Management", as the Tessl registry lists it. pika has the BSD 3-Clause licence, copyright
 * 2009-2021 Tony Garnock-Jones, Gavin M. Roy, VMware Inc. and others.
 *
 * `f(a)` is the parameter `a` of `f`; `f(a?b)` the name `b` in the query of the URL `a`.
 */
import type { Seed } from "./words.ts"

export const pika: Seed = {
  name: "pika",
  headings: [
    {
      heading: "Connection Parameters",
      words: [
        "ConnectionParameters",
        "ConnectionParameters(host)",
        "ConnectionParameters(port)",
        "ConnectionParameters(virtual_host)",
        "ConnectionParameters(credentials)",
        "ConnectionParameters(channel_max)",
        "ConnectionParameters(frame_max)",
        "ConnectionParameters(heartbeat)",
        "ConnectionParameters(ssl_options)",
        "ConnectionParameters(connection_attempts)",
        "ConnectionParameters(retry_delay)",
        "ConnectionParameters(socket_timeout)",
        "ConnectionParameters(stack_timeout)",
        "ConnectionParameters(locale)",
        "ConnectionParameters(blocked_connection_timeout)",
        "ConnectionParameters(client_properties)",
        "ConnectionParameters(tcp_options)",
        "ConnectionParameters.host",
        "ConnectionParameters.port",
        "ConnectionParameters.virtual_host",
        "ConnectionParameters.credentials",
        "ConnectionParameters.channel_max",
        "ConnectionParameters.frame_max",
        "ConnectionParameters.heartbeat",
        "ConnectionParameters.ssl_options",
        "ConnectionParameters.connection_attempts",
        "ConnectionParameters.retry_delay",
        "ConnectionParameters.socket_timeout",
        "ConnectionParameters.stack_timeout",
        "ConnectionParameters.locale",
        "ConnectionParameters.blocked_connection_timeout",
        "ConnectionParameters.client_properties",
        "ConnectionParameters.tcp_options"
      ]
    },
    {
      heading: "URL-Based Parameters",
      words: [
        "URLParameters",
        "URLParameters(url)",
        "URLParameters(url?channel_max)",
        "URLParameters(url?client_properties)",
        "URLParameters(url?connection_attempts)",
        "URLParameters(url?frame_max)",
        "URLParameters(url?heartbeat)",
        "URLParameters(url?locale)",
        "URLParameters(url?ssl_options)",
        "URLParameters(url?retry_delay)",
        "URLParameters(url?socket_timeout)",
        "URLParameters(url?stack_timeout)",
        "URLParameters(url?blocked_connection_timeout)",
        "URLParameters(url?tcp_options)"
      ]
    },
    {
      heading: "Blocking Connection",
      words: [
        "BlockingConnection",
        "BlockingConnection(parameters)",
        "BlockingConnection.channel",
        "BlockingConnection.channel(channel_number)",
        "BlockingChannel",
        "BlockingConnection.close",
        "BlockingConnection.process_data_events",
        "BlockingConnection.process_data_events(time_limit)",
        "BlockingConnection.sleep",
        "BlockingConnection.sleep(duration)",
        "BlockingConnection.add_callback_threadsafe",
        "BlockingConnection.add_callback_threadsafe(callback)",
        "BlockingConnection.call_later",
        "BlockingConnection.call_later(delay)",
        "BlockingConnection.call_later(callback)",
        "BlockingConnection.call_later(*args)",
        "BlockingConnection.remove_timeout",
        "BlockingConnection.remove_timeout(timeout_id)",
        "BlockingConnection.update_secret",
        "BlockingConnection.update_secret(new_secret)",
        "BlockingConnection.update_secret(reason)",
        "BlockingConnection.add_on_connection_blocked_callback",
        "BlockingConnection.add_on_connection_blocked_callback(callback)",
        "BlockingConnection.add_on_connection_unblocked_callback",
        "BlockingConnection.add_on_connection_unblocked_callback(callback)",
        "BlockingConnection.is_closed",
        "BlockingConnection.is_open",
        "BlockingConnection.basic_nack_supported",
        "BlockingConnection.consumer_cancel_notify_supported",
        "BlockingConnection.exchange_exchange_bindings_supported",
        "BlockingConnection.publisher_confirms_supported"
      ]
    },
    {
      heading: "Select Connection",
      words: [
        "SelectConnection",
        "SelectConnection(parameters)",
        "SelectConnection(on_open_callback)",
        "SelectConnection(on_open_error_callback)",
        "SelectConnection(on_close_callback)",
        "SelectConnection(ioloop)",
        "SelectConnection.channel",
        "SelectConnection.channel(on_open_callback)",
        "SelectConnection.channel(channel_number)",
        "SelectConnection.close",
        "SelectConnection.close(reply_code)",
        "SelectConnection.close(reply_text)",
        "SelectConnection.ioloop",
        "IOLoop"
      ]
    },
    {
      heading: "Connection Workflow",
      words: [
        "AMQPConnectionWorkflow",
        "AMQPConnectionWorkflow(parameters)",
        "AMQPConnectionWorkflow(on_done_callback)",
        "AMQPConnectionWorkflow(nbio_interface)",
        "AMQPConnectionWorkflow.start",
        "AMQPConnectionWorkflow.abort"
      ]
    },
    {
      heading: "Usage Examples",
      words: [
        "sample: Basic Connection",
        "sample: Connection with Authentication",
        "sample: URL-Based Connection",
        "sample: Connection with SSL",
        "sample: Asynchronous Connection",
        "PlainCredentials",
        "PlainCredentials(username)",
        "PlainCredentials(password)",
        "SSLOptions",
        "SSLOptions(context)",
        "SSLOptions(server_hostname)",
        "IOLoop.start"
      ]
    }
  ],
  inDocs: ["SelectConnection(ioloop)", "SelectConnection.ioloop", "IOLoop", "IOLoop.start"]
}

/** Times in seconds, sizes in bytes. */
export const defaults = {
  host: "localhost",
  port: 5672,
  virtual_host: "/",
  channel_max: 65535,
  frame_max: 131072,
  heartbeat: null,
  connection_attempts: 1,
  retry_delay: 2,
  socket_timeout: 10,
  stack_timeout: 15,
  locale: "en_US",
  blocked_connection_timeout: null,
  time_limit: 0,
  reply_code: 200,
  reply_text: "Normal shutdown"
} as const
