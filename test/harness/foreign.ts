/**
 * Clients of other hands: Python's pika and kombu, and librabbitmq's tools. Bounded in time, killed with the scope.
 */
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { CommandFailed, Options, Output, Running } from "./childProcess.ts"
import { run, start } from "./childProcess.ts"

export { CommandFailed, type Output, type Running } from "./childProcess.ts"

// Debian's packages belong to this interpreter; another `python3` may stand before it in PATH.
const interpreter = "/usr/bin/python3"
const unbuffered = { PYTHONUNBUFFERED: "1", PYTHONDONTWRITEBYTECODE: "1" }
const withPython = (options: Options): Options => ({ ...options, env: { ...unbuffered, ...options.env } })

/** Runs a Python program, given as text (`sys.argv[1:]` are the args), to its orderly end. */
export const python = (
  program: string,
  args: ReadonlyArray<string> = [],
  options: Options = {}
): Effect.Effect<Output, CommandFailed> => run(interpreter, ["-c", program, ...args], withPython(options))

/** Starts a Python program, for a dialogue by its input and output. */
export const startPython = (
  program: string,
  args: ReadonlyArray<string> = [],
  options: Options = {}
): Effect.Effect<Running, CommandFailed, Scope.Scope> =>
  start(interpreter, ["-c", program, ...args], withPython(options))

/** Runs a command (`amqp-publish`, `amqp-get`, `amqp-consume`, …) with that input to its orderly end. */
export const command = (
  name: string,
  args: ReadonlyArray<string>,
  stdin: string | Uint8Array = ""
): Effect.Effect<Output, CommandFailed> => run(name, args, { stdin })

/** Starts a command. */
export const startCommand = start
