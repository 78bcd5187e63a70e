/**
 * The password or token of a connection where it changes while the connection lives: given to the broker
 * (connection.update-secret), and to whatever is dialled next.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import type { CallError, ConnectionClosed, ConnectionLost } from "../../AmqpError.ts"
import { OperationTimeout } from "../../AmqpError.ts"
import * as Method from "../Method.ts"
import { refusedLocally } from "./calls.ts"
import type { ChannelHost } from "./channelHost.ts"

const operation = "connection.update-secret"

/** An update that the broker has not answered, and the secret it replaced. */
interface Call {
  readonly resume: (effect: Effect.Effect<void, CallError>) => void
  readonly previous: Redacted.Redacted | undefined
}

/** @internal */
export class Secrets {
  /** The newest one, where its user has changed it. */
  current: Redacted.Redacted | undefined
  private calls: Array<Call> = []
  private readonly host: Pick<ChannelHost, "socket" | "refusal" | "operationTimeout">

  constructor(host: Pick<ChannelHost, "socket" | "refusal" | "operationTimeout">) {
    this.host = host
  }

  /** Calls of one connection are answered in order, as those of a channel are. */
  update(secret: Redacted.Redacted, reason: string): Effect.Effect<void, CallError> {
    return Effect.suspend(() => {
      const refusal = this.host.refusal(operation, false)
      if (refusal !== undefined) return Effect.fail(refusal)
      const previous = this.current
      // Away or not: whatever is dialled from now on is given the new one.
      this.current = secret
      return this.tell(secret, reason, previous)
    })
  }

  /** Tells the broker of the present socket alone; where it refuses, `previous` is the good one. */
  tell(secret: Redacted.Redacted, reason: string, previous: Call["previous"]): Effect.Effect<void, CallError> {
    return Effect.suspend(() => {
      const { operationTimeout, socket } = this.host
      if (socket === undefined) return Effect.void
      return Effect.async<void, CallError>((resume) => {
        this.calls.push({ resume, previous })
        const newSecret = new TextEncoder().encode(Redacted.value(secret))
        const fault = socket.engine.send(0, { _tag: "ConnectionUpdateSecret", newSecret, reason })
        if (fault === undefined) socket.flushNow()
        else this.calls.pop()?.resume(Effect.fail(refusedLocally(operation, fault)))
      }).pipe(
        Effect.timeoutFail({
          duration: operationTimeout,
          onTimeout: () => new OperationTimeout({ operation, limit: operationTimeout })
        })
      )
    })
  }

  answered(): void {
    this.calls.shift()?.resume(Effect.void)
  }

  /** A broker closes the connection over a secret it refuses: then the one before it is the good one. */
  end(fault: ConnectionLost | ConnectionClosed): void {
    const calls = this.calls.splice(0)
    const [first] = calls
    const isRefusal = fault._tag === "ConnectionClosed" && fault.reason === "Peer" &&
      fault.code !== Method.ReplyCode.connectionForced
    if (first !== undefined && isRefusal) this.current = first.previous
    for (const { resume } of calls) resume(Effect.fail(fault))
  }
}
