/**
 * A broker's faults, and what it shows, over HTTP: for tests in other languages. The names and fields of faults, and the
 * words for those that do not fit, come from the broker's own list of them.
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as HttpRouter from "@effect/platform/HttpRouter"
import * as HttpServer from "@effect/platform/HttpServer"
import * as HttpServerRequest from "@effect/platform/HttpServerRequest"
import * as HttpServerResponse from "@effect/platform/HttpServerResponse"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as SchemaAST from "effect/SchemaAST"
import type * as Scope from "effect/Scope"
import { createServer } from "node:http"
import { ListenError } from "../../AmqpError.ts"
import type * as Broker from "../../broker/Broker.ts"
import * as Fault from "../../broker/Fault.ts"
import { endpointOf, listenFault, toError } from "./systemError.ts"

class NoSuchFault extends Data.TaggedError("NoSuchFault")<{ readonly message: string }> {}

// A fault is some names and numbers.
const longestRequest = 64 * 1024

/** JSON has neither octets nor large integers: they are base64 and text. */
const json = (value: unknown, status = 200): HttpServerResponse.HttpServerResponse =>
  HttpServerResponse.text(
    JSON.stringify(value, (_, each: unknown) => {
      if (each instanceof Uint8Array) return Buffer.from(each).toString("base64")
      return typeof each === "bigint" ? String(each) : each
    }),
    { status, contentType: "application/json" }
  )

const noFault = (name: string) =>
  new NoSuchFault({ message: `There is no fault ${name}. Known: ${Object.keys(Fault.definitions).join(", ")}` })

const Fields = Schema.parseJson()

/** The request's fields; nothing is an empty object. */
const fields = Effect.flatMap(
  HttpServerRequest.HttpServerRequest,
  (request) => Effect.flatMap(request.text, (text) => Schema.decode(Fields)(text === "" ? "{}" : text))
)

const parameter = (name: string) => Effect.map(HttpRouter.params, (params) => params[name] ?? "")

const shown = ({ fault, id, remaining }: Fault.Active) =>
  Effect.map(Schema.encode(Fault.Fault)(fault), (fault) => ({ id, fault, remaining }))

const inject = (broker: Broker.Service) =>
  Effect.gen(function*() {
    const name = yield* parameter("name")
    if (!Fault.isName(name)) return yield* noFault(name)
    const { affected, id } = yield* broker.inject(yield* Fault.decode(name, yield* fields))
    return json({ id, affected })
  })

const heal = (broker: Broker.Service) =>
  Effect.gen(function*() {
    const which = yield* parameter("which")
    if (Fault.isName(which)) return json({ healed: yield* broker.heal(which) })
    if (!/^\d{1,15}$/.test(which)) return yield* noFault(which)
    return json({ healed: yield* broker.heal(Number(which)) })
  })

const routes = (broker: Broker.Service, published: Effect.Effect<ReadonlyArray<Broker.Published>>) =>
  HttpRouter.empty.pipe(
    HttpRouter.get("/connections", Effect.map(broker.connections, (all) => json(all))),
    HttpRouter.get(
      "/queues",
      Effect.map(
        Effect.flatMap(
          HttpServerRequest.ParsedSearchParams,
          ({ vhost }) => broker.queues(typeof vhost === "string" ? vhost : undefined)
        ),
        (all) => json(all)
      )
    ),
    HttpRouter.get("/published", Effect.map(published, (all) => json(all))),
    HttpRouter.get(
      "/faults",
      Effect.map(Effect.flatMap(broker.faults, Effect.forEach(shown)), (all) => json(all))
    ),
    HttpRouter.post("/faults/:name", inject(broker)),
    HttpRouter.del("/faults", Effect.map(broker.heal(), (healed) => json({ healed }))),
    HttpRouter.del("/faults/:which", heal(broker))
  )

/**
 * Serves it until the scope closes; gives the address. What is published from then on is recorded.
 *
 * @internal
 */
export const serve = (
  broker: Broker.Service,
  { host, port }: { readonly host: string; readonly port: number }
): Effect.Effect<string, ListenError, Scope.Scope> =>
  Effect.gen(function*() {
    const published = yield* broker.record()
    const server = yield* NodeHttpServer.make(() => createServer(), { host, port }).pipe(
      Effect.mapError(({ cause }) =>
        new ListenError({ address: endpointOf(host, port), ...listenFault(toError(cause)) })
      )
    )
    const answers = routes(broker, published).pipe(
      Effect.catchTags({
        RouteNotFound: ({ request }) =>
          Effect.succeed(json({ error: `There is no ${request.method} ${request.url}` }, 404)),
        NoSuchFault: ({ message }) => Effect.succeed(json({ error: message }, 404)),
        ParseError: ({ message }) => Effect.succeed(json({ error: message }, 400)),
        RequestError: ({ message }) => Effect.succeed(json({ error: message }, 400))
      }),
      HttpServerRequest.withMaxBodySize(Option.some(longestRequest))
    )
    yield* Effect.provideService(HttpServer.serveEffect(answers), HttpServer.HttpServer, server)
    return HttpServer.formatAddress(server.address)
  })

/** How each fault is asked for: its name, its fields, those that may be missing marked with `?`. @internal */
export const usage: string = Object.entries(Fault.definitions).map(([name, { schema }]) => {
  const fields = SchemaAST.getPropertySignatures(schema.ast)
    .filter(({ name }) => name !== "_tag" && name !== "connection")
    .map(({ isOptional, name }) => `${String(name)}${isOptional ? "?" : ""}`)
  return [name, ...fields].join(" ")
}).join(", ")
