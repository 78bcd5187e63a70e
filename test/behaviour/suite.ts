/** One suite for any broker: the same expectations wherever it runs. What differs, and why, is said where it does. */
import { consumerOrder } from "./consumerOrder.ts"
import { consuming } from "./consuming.ts"
import { conversations } from "./conversations.ts"
import { deadLettering } from "./deadLettering.ts"
import { faults } from "./endings.ts"
import { headersExchanges } from "./headers.ts"
import { life } from "./life.ts"
import { permissions } from "./permissions.ts"
import type { It } from "./place.ts"
import { publishing } from "./publishing.ts"
import { qosCases } from "./qos.ts"
import { queueArguments } from "./queueArguments.ts"
import { queueLimits } from "./queueLimits.ts"
import { replyTo } from "./replyTo.ts"
import { alternates, exchangeBindings, furtherKeys } from "./routing.ts"
import { exchanges, queues, routing } from "./topology.ts"
import { transactions } from "./transactions.ts"
import { wireTypes } from "./wireTypes.ts"

export const behaviour = (it: It): void => {
  queues(it)
  exchanges(it)
  routing(it)
  headersExchanges(it)
  alternates(it)
  exchangeBindings(it)
  furtherKeys(it)
  permissions(it)
  publishing(it)
  consuming(it)
  queueArguments(it)
  wireTypes(it)
  queueLimits(it)
  deadLettering(it)
  consumerOrder(it)
  qosCases(it)
  transactions(it)
  replyTo(it)
  life(it)
  conversations(it)
  faults(it)
}
