/**
 * The password or token of a connection where it changes while the connection lives: given to the broker
 * (connection.update-secret), and to whatever is dialled next.
 *
 * @since 0.1.0
 */
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Redacted from "effect/Redacted"
import type { CallError, ConnectionClosed, ConnectionLost } from "../../AmqpError.ts"
import { OperationTimeout } from "../../AmqpError.ts"
import * as Credentials from "../../Credentials.ts"
import * as Method from "../Method.ts"
import { refusedLocally } from "./calls.ts"
import type { ChannelHost } from "./channelHost.ts"

const operation = "connection.update-secret"

// Of whom a secret is known: a hook may name other credentials for each dial.
const most = 16

/** A secret, and whose it is: credentials as they were given, of which it takes the place. @internal */
export interface Renewed {
  readonly secret: Redacted.Redacted
  readonly of: ReadonlyArray<Credentials.Credentials>
}

/** An update that the broker has not answered, and what was there before it; none where nothing was changed. */
interface Call {
  readonly resume: (effect: Effect.Effect<void, CallError>) => void
  readonly previous: ReadonlyArray<Renewed> | undefined
}

type Host = Pick<ChannelHost, "socket" | "refusal" | "operationTimeout"> & {
  /** Whose the secret is that the present socket, or the last one, logged in with; before the first, all there are. */
  readonly credentials: ReadonlyArray<Credentials.Credentials>
}

const isOf = (renewed: Renewed, of: Renewed["of"]): boolean =>
  renewed.of.length === of.length && renewed.of.every((each, at) => Equal.equals(each, of[at]))

/** @internal */
export class Secrets {
  /** The newest ones, where the program has changed them. */
  renewed: ReadonlyArray<Renewed> = []
  private calls: Array<Call> = []
  private readonly host: Host

  constructor(host: Host) {
    this.host = host
  }

  private find(credentials: Credentials.Credentials): Renewed | undefined {
    return this.renewed.find(({ of }) => of.some((each) => Equal.equals(each, credentials)))
  }

  /** Whether the program has changed that of the present socket. */
  get isChanged(): boolean {
    return this.host.credentials.some((each) => this.find(each) !== undefined)
  }

  /** Credentials as they are to be dialled with: each with the newest secret that took its own one's place. */
  newest(credentials: ReadonlyArray<Credentials.Credentials>): ReadonlyArray<Credentials.Credentials> {
    return this.renewed.length === 0 ? credentials : credentials.map((each) => {
      const found = this.find(each)
      return found === undefined ? each : Credentials.withSecret(each, found.secret)
    })
  }

  /** Calls of one connection are answered in order, as those of a channel are. */
  update(secret: Redacted.Redacted, reason: string): Effect.Effect<void, CallError> {
    return Effect.suspend(() => {
      const refusal = this.host.refusal(operation, false)
      if (refusal !== undefined) return Effect.fail(refusal)
      const previous = this.renewed
      const { credentials: of } = this.host
      // Away or not: whatever is dialled from now on with the same credentials is given the new one.
      this.renewed = [{ secret, of }, ...previous.filter((each) => !isOf(each, of))].slice(0, most)
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
    if (first?.previous !== undefined && isRefusal) this.renewed = first.previous
    for (const { resume } of calls) resume(Effect.fail(fault))
  }
}
