/**
 * What a broker says it can do, read from its server properties.
 *
 * @since 0.1.0
 */
import type { Capabilities } from "../Connection.ts"
import type { FieldTable } from "../FieldTable.ts"
import { isFieldTable } from "../FieldTable.ts"

/** @internal */
export const capabilitiesOf = (serverProperties: FieldTable): Capabilities => {
  const told = serverProperties["capabilities"]
  const has = (name: string) => isFieldTable(told) && told[name] === true
  return {
    publisherConfirms: has("publisher_confirms"),
    basicNack: has("basic.nack"),
    consumerCancelNotify: has("consumer_cancel_notify"),
    exchangeExchangeBindings: has("exchange_exchange_bindings"),
    connectionBlocked: has("connection.blocked"),
    authenticationFailureClose: has("authentication_failure_close"),
    perConsumerQos: has("per_consumer_qos"),
    consumerPriorities: has("consumer_priorities"),
    directReplyTo: has("direct_reply_to"),
    acceptConsumerCancelOk: has("accept_consumer_cancel_ok")
  }
}

/** Before any broker was asked. @internal */
export const unknown: Capabilities = capabilitiesOf({})
