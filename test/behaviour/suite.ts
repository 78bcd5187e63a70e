/** One suite for any broker: the same expectations wherever it runs. What differs, and why, is said where it does. */
import { consuming } from "./consuming.ts"
import { conversations } from "./conversations.ts"
import { headersExchanges } from "./headers.ts"
import { life } from "./life.ts"
import { permissions } from "./permissions.ts"
import type { It } from "./place.ts"
import { publishing } from "./publishing.ts"
import { alternates, exchangeBindings, furtherKeys } from "./routing.ts"
import { exchanges, queues, routing } from "./topology.ts"

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
  life(it)
  conversations(it)
}
