/**
 * Secrets that expire, on an open connection: the broker is given the next one before that. What a dial gives it is the
 * business of `sasl`.
 *
 * @since 0.1.0
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { warn } from "../../internal/log.ts"
import * as Reconnect from "../../Reconnect.ts"
import type { ConnectionCore } from "./connection.ts"
import type { Issued } from "./sasl.ts"

// What is left of its time is for the attempts that fail.
const share = 0.8

// A secret that expires at once must not be asked for in a loop; and above the other bound timers of JavaScript fire at once.
const least = 1000
const most = 2 ** 31 - 1

const again = Reconnect.exponential({ first: "1 second", max: "30 seconds" })

/** Goes on as long as the socket: whoever waits for the end of that interrupts it. @internal */
export const renewing = (core: ConnectionCore, first: Issued): Effect.Effect<never> => {
  const renew = (present: Issued): Effect.Effect<Issued | Redacted.Redacted> =>
    present.next.pipe(
      Effect.tap((given) =>
        core.secrets.tell(Redacted.isRedacted(given) ? given : given.secret, "it expires", undefined)
      ),
      Effect.tapError((fault) => warn("Connection", `the secret was not renewed: ${fault.message}`)),
      Effect.retry(again),
      // The schedule has no end.
      Effect.catchAll(() => Effect.never)
    )
  const from = (present: Issued): Effect.Effect<never> =>
    Effect.gen(function*() {
      const now = yield* Clock.currentTimeMillis
      const left = present.at + present.life * share - now
      yield* Effect.sleep(Duration.millis(Math.min(Math.max(left, least), most)))
      // The program has replaced it: what this socket logged in with is asked no more.
      if (core.secrets.isChanged) return yield* Effect.never
      const given = yield* renew(present)
      return Redacted.isRedacted(given) ? yield* Effect.never : yield* from(given)
    })
  return from(first)
}
