/**
 * Programs that tests run beside them: each in a process group of its own, bounded in real time (a TestClock does not
 * reach it), killed by id with the scope or the interruption, its output kept.
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as ChildProcess from "node:child_process"

/** What a program wrote and how it ended. `code` is `undefined` where a signal ended it. */
export interface Output {
  readonly code: number | undefined
  readonly stdout: string
  readonly stderr: string
}

/** A program that is not there, took too long, or ended with a code other than 0. */
export class CommandFailed extends Data.TaggedError("CommandFailed")<{
  readonly command: string
  readonly reason: "Spawn" | "Timeout" | "Exit"
  readonly output: Output
}> {
  override get message() {
    const { code, stderr, stdout } = this.output
    return `${this.command} (${this.reason}${this.reason === "Exit" ? ` ${code ?? "by a signal"}` : ""})\n${
      stdout.slice(-4000)
    }${stderr.slice(-4000)}`
  }
}

export interface Options {
  readonly cwd?: string | undefined
  /** Added to this process's own environment; `undefined` takes a name out of it. */
  readonly env?: Record<string, string | undefined> | undefined
  /** Written to the program's input, which then ends. Default: no input. */
  readonly stdin?: string | Uint8Array | undefined
  /** Default: 30,000 for `run`, none for `start`. */
  readonly timeoutMillis?: number | undefined
}

/** A program that runs until it ends by itself or its scope closes. */
export interface Running {
  readonly pid: number
  /** Waits for the end, however it comes. */
  readonly exit: Effect.Effect<Output>
  /** Waits for the end, and fails unless it was orderly. */
  readonly success: Effect.Effect<Output, CommandFailed>
  /**
   * Waits until the output (stdout), taken from its beginning, matches; fails when the program ends before, or after
   * 30,000 milliseconds or as many as given.
   */
  readonly seen: (pattern: RegExp, timeoutMillis?: number) => Effect.Effect<RegExpExecArray, CommandFailed>
  /** Writes to the program's input. */
  readonly send: (text: string) => Effect.Effect<void>
  /** Ends the program's input. */
  readonly end: Effect.Effect<void>
  /** Sends a signal to the program and to what it started. */
  readonly signal: (signal: NodeJS.Signals) => Effect.Effect<void>
}

const living = new Set<number>()
process.once("exit", () => {
  for (const pid of living) signalGroup(pid, "SIGKILL")
})

const signalGroup = (pid: number, signal: NodeJS.Signals): void => {
  try {
    process.kill(-pid, signal)
  } catch {
    // It ended in the meantime.
  }
}

const spawn = (command: string, args: ReadonlyArray<string>, options: Options) =>
  Effect.async<Running, CommandFailed>((resume) => {
    const name = [command, ...args].join(" ").slice(0, 200)
    const child = ChildProcess.spawn(command, args, {
      cwd: options.cwd,
      env: { ...process.env, ...options.env },
      stdio: "pipe",
      detached: true
    })
    let stdout = ""
    let stderr = ""
    let ended: { readonly output: Output; readonly timedOut: boolean } | undefined
    let timedOut = false
    const observers = new Set<() => void>()
    const observe = <A, E>(
      look: () => Effect.Effect<A, E> | undefined,
      bound?: { readonly millis: number; readonly otherwise: () => Effect.Effect<A, E> }
    ): Effect.Effect<A, E> =>
      Effect.async((resume) => {
        const settle = (found: Effect.Effect<A, E> | undefined) => {
          if (found === undefined) return
          stop()
          resume(found)
        }
        const observer = () => settle(look())
        const timer = bound && setTimeout(() => settle(bound.otherwise()), bound.millis)
        const stop = () => {
          observers.delete(observer)
          clearTimeout(timer)
        }
        observers.add(observer)
        observer()
        return Effect.sync(stop)
      })
    const changed = () => {
      for (const observer of observers) observer()
    }
    const failure = (reason: CommandFailed["reason"], output: Output) =>
      new CommandFailed({ command: name, reason, output })

    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      stdout += text
      changed()
    })
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      stderr += text
    })
    child.stdin.on("error", () => {}) // a program that does not read its input closes it
    child.once(
      "error",
      (error) => resume(Effect.fail(failure("Spawn", { code: undefined, stdout, stderr: error.message })))
    )

    child.once("spawn", () => {
      const pid = child.pid! // a process that has spawned has an id
      living.add(pid)
      const timer = options.timeoutMillis === undefined ? undefined : setTimeout(() => {
        timedOut = true
        signalGroup(pid, "SIGKILL")
      }, options.timeoutMillis)
      child.once("exit", () => {
        living.delete(pid)
        clearTimeout(timer)
        signalGroup(pid, "SIGKILL") // what it started and left
      })
      child.once("close", (code) => {
        ended = { output: { code: code ?? undefined, stdout, stderr }, timedOut }
        changed()
      })
      if (options.stdin !== undefined) child.stdin.end(options.stdin)

      const exit = observe(() => ended === undefined ? undefined : Effect.succeed(ended))
      resume(Effect.succeed({
        pid,
        exit: Effect.map(exit, ({ output }) => output),
        success: Effect.flatMap(exit, ({ output, timedOut }) =>
          timedOut
            ? Effect.fail(failure("Timeout", output))
            : output.code === 0
            ? Effect.succeed(output)
            : Effect.fail(failure("Exit", output))),
        seen: (pattern, millis = 30_000) =>
          observe<RegExpExecArray, CommandFailed>(() => {
            const match = pattern.exec(stdout)
            if (match !== null) return Effect.succeed(match)
            return ended && Effect.fail(failure(ended.timedOut ? "Timeout" : "Exit", ended.output))
          }, { millis, otherwise: () => Effect.fail(failure("Timeout", { code: undefined, stdout, stderr })) }),
        send: (text) => Effect.sync(() => void child.stdin.write(text)),
        end: Effect.sync(() => void child.stdin.end()),
        signal: (signal) => Effect.sync(() => ended === undefined ? signalGroup(pid, signal) : undefined)
      }))
    })
  })

/** Starts a program; closing the scope kills it and waits until it is gone. */
export const start = (
  command: string,
  args: ReadonlyArray<string>,
  options: Options = {}
): Effect.Effect<Running, CommandFailed, Scope.Scope> =>
  Effect.acquireRelease(
    spawn(command, args, options),
    (running) => Effect.zipRight(running.signal("SIGKILL"), running.exit)
  )

/** Runs a program to its end, which must be orderly. */
export const run = (
  command: string,
  args: ReadonlyArray<string>,
  options: Options = {}
): Effect.Effect<Output, CommandFailed> =>
  start(command, args, { stdin: "", timeoutMillis: 30_000, ...options }).pipe(
    Effect.flatMap((running) => running.success),
    Effect.scoped
  )

/** What a process takes of the memory of this machine (RSS), in MiB. */
export const residentMemory = (pid: number): number =>
  Number(ChildProcess.execFileSync("ps", ["-o", "rss=", "-p", String(pid)], { encoding: "utf8" })) / 1024
