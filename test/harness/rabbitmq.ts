/**
 * Private RabbitMQ nodes: own folder, cookie, node name, ports and epmd, on the loopback interface alone. Closing the
 * scope kills them by process id and removes the folder; so does a guard process when the test process itself dies.
 *
 * `node` starts one to kill, alarm or reconfigure. The one that a whole run shares comes from `describeRabbit`
 * (describe.ts).
 */
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Scope from "effect/Scope"
import * as ChildProcess from "node:child_process"
import { randomBytes, randomInt } from "node:crypto"
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import * as Certificates from "./certificates.ts"
import type { CommandFailed, Running } from "./childProcess.ts"
import { run, start } from "./childProcess.ts"
import type { Package } from "./debian.ts"
import { howToInstall, missing } from "./debian.ts"
import { loadModules } from "./rabbitmqModules.ts"

const scripts = "/usr/lib/rabbitmq/bin"
/** The Debian packages it takes. */
export const packages: ReadonlyArray<Package> = ["rabbitmq-server", "openssl"]

/** RabbitMQ is not installed, or does not start. */
export class RabbitMqUnavailable extends Data.TaggedError("RabbitMqUnavailable")<{ readonly text: string }> {
  override get message() {
    return `RabbitMQ is not available: ${this.text}`
  }
}

/** Where a node is: enough to reach and to administer it from any process of this machine. */
export interface Place {
  readonly folder: string
  readonly name: string
  readonly host: string
  readonly port: number
  readonly tlsPort: number
  readonly epmdPort: number
  readonly distPort: number
  readonly certificates: Certificates.Certificates
}

/** A running node, seen from one of its virtual hosts. User `guest` with password `guest` may do everything. */
export interface RabbitMq extends Omit<Place, "folder" | "epmdPort" | "distPort"> {
  readonly place: Place
  readonly vhost: string
  /** `amqp://guest:guest@127.0.0.1:PORT/VHOST`. */
  readonly url: string
  /** The same over TLS. It names `localhost`, for which the server's certificate stands. */
  readonly tlsUrl: string
  /** `rabbitmqctl` with these arguments; its output. */
  readonly ctl: (...args: ReadonlyArray<string>) => Effect.Effect<string, CommandFailed>
  /** Evaluates an Erlang expression on the node: many changes for the price of one call. */
  readonly evaluate: (erlang: string) => Effect.Effect<string, CommandFailed>
  /** Closes every connection to this virtual host: `320 CONNECTION_FORCED - reason`. */
  readonly closeAllConnections: (reason: string) => Effect.Effect<void, CommandFailed>
  /** A virtual host in which `guest` may do everything; the node seen from there. */
  readonly addVhost: (vhost: string) => Effect.Effect<RabbitMq, CommandFailed>
  /** A user who may do everything in this virtual host, or what the three patterns allow. */
  readonly addUser: (
    user: string,
    password: string,
    permissions?: { readonly configure: string; readonly write: string; readonly read: string }
  ) => Effect.Effect<void, CommandFailed>
}

/** A node of one's own. */
export interface DisposableRabbitMq extends RabbitMq {
  /** Of the Erlang VM; of the last one, after `kill` or `stop`. */
  readonly pid: Effect.Effect<number>
  /** `kill -9`: sockets are reset, nothing is said. What is durable stays for the next `start`. */
  readonly kill: Effect.Effect<void>
  /** An orderly stop: clients hear `320 CONNECTION_FORCED`. */
  readonly stop: Effect.Effect<void>
  /** Starts it again, on the same ports, after `kill` or `stop`. */
  readonly start: Effect.Effect<void, RabbitMqUnavailable>
  /** The memory alarm: publishing connections are blocked while it is on. */
  readonly memoryAlarm: (on: boolean) => Effect.Effect<void, CommandFailed>
  /** What the node has logged so far. */
  readonly log: Effect.Effect<string>
}

/** What nodes share that can find each other and let each other in. */
export interface Neighbourhood {
  readonly epmdPort: number
  readonly epmdPid: number
  readonly cookie: string
}

export interface NodeOptions {
  /** Offered mechanisms. Default: PLAIN, AMQPLAIN, RABBIT-CR-DEMO, and with TLS EXTERNAL (3.10 has no ANONYMOUS). */
  readonly mechanisms?: ReadonlyArray<string> | undefined
  /** Further lines for `rabbitmq.conf`. */
  readonly conf?: ReadonlyArray<string> | undefined
  /** Whom it can be clustered with. Default: nobody. */
  readonly neighbourhood?: Neighbourhood | undefined
  /** How many threads run its Erlang processes. Default: one for each core. */
  readonly schedulers?: number | undefined
  /** Plugins besides `rabbitmq_auth_mechanism_ssl`, for example `rabbitmq_consistent_hash_exchange`. */
  readonly plugins?: ReadonlyArray<string> | undefined
}

const environment = (place: Place) => {
  const at = (...names: ReadonlyArray<string>) => join(place.folder, ...names)
  return {
    HOME: at("home"),
    ERL_EPMD_PORT: String(place.epmdPort),
    ERL_EPMD_ADDRESS: "127.0.0.1",
    ERL_CRASH_DUMP_SECONDS: "0",
    RABBITMQ_NODENAME: place.name,
    RABBITMQ_NODE_PORT: String(place.port),
    RABBITMQ_NODE_IP_ADDRESS: place.host,
    RABBITMQ_DIST_PORT: String(place.distPort),
    RABBITMQ_MNESIA_BASE: at("mnesia"),
    RABBITMQ_MNESIA_DIR: at("mnesia", "node"),
    RABBITMQ_LOG_BASE: at("log"),
    RABBITMQ_PID_FILE: at("pid"),
    RABBITMQ_CONFIG_FILE: at("rabbitmq"),
    RABBITMQ_ENABLED_PLUGINS_FILE: at("plugins"),
    RABBITMQ_GENERATED_CONFIG_DIR: at("config"),
    RABBITMQ_FEATURE_FLAGS_FILE: at("feature_flags"),
    RABBITMQ_CONF_ENV_FILE: at("none"),
    RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: "-kernel inet_dist_use_interface {127,0,0,1}",
    RABBITMQ_CTL_ERL_ARGS: "-kernel inet_dist_use_interface {127,0,0,1}",
    // The script then becomes the Erlang VM instead of starting it: its process id is the VM's.
    RUNNING_UNDER_SYSTEMD: "true",
    NOTIFY_SOCKET: undefined
  }
}

/** A node that already runs, seen from a virtual host. */
export const at = (place: Place, vhost = "/"): RabbitMq => {
  const { certificates, host, name, port, tlsPort } = place
  const env = environment(place)
  const ctl: RabbitMq["ctl"] = (...args) =>
    Effect.map(run(`${scripts}/rabbitmqctl`, ["-q", ...args], { env }), ({ stdout }) => stdout)
  const path = encodeURIComponent(vhost)
  return {
    place,
    name,
    host,
    port,
    tlsPort,
    certificates,
    vhost,
    url: `amqp://guest:guest@${host}:${port}/${path}`,
    tlsUrl: `amqps://guest:guest@localhost:${tlsPort}/${path}`,
    ctl,
    evaluate: (erlang) => ctl("eval", erlang),
    closeAllConnections: (reason) => Effect.asVoid(ctl("close_all_connections", "--vhost", vhost, reason)),
    addVhost: (vhost) =>
      Effect.as(
        ctl(
          "eval",
          `rabbit_vhost:add(<<"${vhost}">>, <<"tests">>), rabbit_auth_backend_internal:set_permissions(<<"guest">>, <<"${vhost}">>, <<".*">>, <<".*">>, <<".*">>, <<"tests">>).`
        ),
        at(place, vhost)
      ),
    addUser: (user, password, { configure, read, write } = { configure: ".*", write: ".*", read: ".*" }) =>
      Effect.asVoid(
        ctl("add_user", user, password).pipe(
          // Users are the whole node's, which tests share.
          Effect.catchIf(({ output }) => output.stderr.includes("already exists"), () => Effect.void),
          Effect.zipRight(ctl("set_permissions", "-p", vhost, user, configure, write, read))
        )
      )
  }
}

const isFree = (port: number): Effect.Effect<boolean> =>
  Effect.async((resume) => {
    const server = createServer()
      .once("error", () => resume(Effect.succeed(false)))
      .listen(port, "127.0.0.1", () => server.close(() => resume(Effect.succeed(true))))
  })

// Below the range from which the system takes the ports of outgoing connections: none of those takes it meanwhile.
const freePort: Effect.Effect<number> = Effect.suspend(() => {
  const port = randomInt(20_000, 32_000)
  return Effect.flatMap(isFree(port), (free) => free ? Effect.succeed(port) : freePort)
})

// Reads lists of process groups, one a line; when its input ends, because the node was released or the test process is
// gone, it kills the last list and removes the folder.
const guardScript = `
while read -r line; do groups=$line; done
for group in $groups; do kill -s KILL -- "-$group" 2>/dev/null; done
for try in 1 2 3 4 5 6 7 8 9 10; do rm -rf -- "$1" 2>/dev/null && [ ! -e "$1" ] && exit 0; sleep 0.1; done
exit 1`

const guardedFolder = Effect.acquireRelease(
  Effect.sync(() => {
    const folder = mkdtempSync(join(tmpdir(), "effect-amqp-rabbitmq-"))
    const guard = ChildProcess.spawn("sh", ["-c", guardScript, "guard", folder], {
      detached: true,
      stdio: ["pipe", "ignore", "ignore"]
    })
    return { folder, guard }
  }),
  ({ guard }) =>
    Effect.async<void>((resume) => {
      guard.once("exit", () => resume(Effect.void))
      guard.stdin.end()
    })
)

const configure = (place: Place, cookie: string, options: NodeOptions): void => {
  const { ca, server } = place.certificates
  const write = (name: string, text: string, mode = 0o600) => writeFileSync(join(place.folder, name), text, { mode })
  for (const name of ["home", "mnesia", "log"]) mkdirSync(join(place.folder, name))
  write("home/.erlang.cookie", cookie, 0o400)
  write("plugins", `[${["rabbitmq_auth_mechanism_ssl", ...options.plugins ?? []].join(",")}].\n`)
  const mechanisms = options.mechanisms ?? ["PLAIN", "AMQPLAIN", "EXTERNAL", "RABBIT-CR-DEMO"]
  write(
    "rabbitmq.conf",
    [
      "loopback_users = none",
      "vm_memory_high_watermark.absolute = 1GB",
      "disk_free_limit.absolute = 50MB",
      `listeners.ssl.1 = ${place.host}:${place.tlsPort}`,
      `ssl_options.cacertfile = ${ca}`,
      `ssl_options.certfile = ${server.cert}`,
      `ssl_options.keyfile = ${server.key}`,
      "ssl_options.verify = verify_peer",
      "ssl_options.fail_if_no_peer_cert = false",
      "ssl_cert_login_from = common_name",
      ...mechanisms.map((mechanism, index) => `auth_mechanisms.${index + 1} = ${mechanism}`),
      ...options.conf ?? [],
      ""
    ].join("\n")
  )
}

const unavailable = (failed: CommandFailed) => new RabbitMqUnavailable({ text: failed.message })

/** Starts an epmd; gone with the scope. */
export const neighbourhood: Effect.Effect<Neighbourhood, RabbitMqUnavailable, Scope.Scope> = Effect.gen(function*() {
  const epmdPort = yield* freePort
  const epmd = yield* start("epmd", ["-port", String(epmdPort), "-address", "127.0.0.1"])
  return { epmdPort, epmdPid: epmd.pid, cookie: randomBytes(16).toString("hex") }
}).pipe(Effect.mapError(unavailable))

/**
 * What goes before the flags of RabbitMQ's own scripts: more than half of the time that a node takes to start. With a name from
 * the beginning it starts no second Erlang VM, whose only purpose is to start an epmd.
 */
const bootFlags = ({ distPort, name }: Place): string =>
  [
    ["-sname", name],
    ["-kernel", "inet_dist_listen_min", String(distPort), "inet_dist_listen_max", String(distPort)],
    ["-eval", loadModules(scripts)]
  ].flat().join(" ")

/** Starts a node; ready when this returns. Costs about two seconds. */
export const node = (
  options: NodeOptions = {}
): Effect.Effect<DisposableRabbitMq, RabbitMqUnavailable, Scope.Scope> =>
  Effect.gen(function*() {
    const absent = missing(packages)
    if (absent.length > 0) {
      return yield* new RabbitMqUnavailable({ text: `not installed. ${howToInstall(absent)}` })
    }
    const scope = yield* Effect.scope
    const { folder, guard } = yield* guardedFolder
    const { cookie, epmdPid, epmdPort } = options.neighbourhood ?? (yield* neighbourhood)
    const guarded = (...groups: ReadonlyArray<number>) => Effect.sync(() => guard.stdin.write(`${groups.join(" ")}\n`))
    const certificates = yield* Effect.mapError(Certificates.make(folder), unavailable)
    const port = yield* freePort
    const place: Place = {
      folder,
      name: `effect-amqp-${port}@localhost`,
      host: "127.0.0.1",
      port,
      tlsPort: yield* freePort,
      epmdPort,
      distPort: yield* freePort,
      certificates
    }
    configure(place, cookie, options)
    const common = environment(place)
    const erlang = common.RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS
    const env = {
      ...common,
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: options.schedulers === undefined
        ? erlang
        : `${erlang} +S ${options.schedulers}:${options.schedulers}`,
      ERL_AFLAGS: bootFlags(place)
    }
    yield* guarded(epmdPid)

    let vm: Running | undefined
    const log = Effect.sync(() =>
      readdirSync(join(folder, "log")).map((name) => readFileSync(join(folder, "log", name), "utf8")).join("\n")
    )
    const boot = start(`${scripts}/rabbitmq-server`, [], { env, stdin: "" }).pipe(
      Effect.tap((started) => guarded(epmdPid, started.pid)),
      Effect.tap((started) => started.seen(/completed with \d+ plugins/, 60_000)),
      Effect.catchAll((failed) =>
        Effect.flatMap(log, (log) => new RabbitMqUnavailable({ text: `${failed.message}\n${log.slice(-4000)}` }))
      ),
      Scope.extend(scope),
      Effect.map((started) => {
        vm = started
      })
    )
    yield* boot
    const ended = (signal: NodeJS.Signals) =>
      Effect.suspend(() => vm === undefined ? Effect.void : Effect.zipRight(vm.signal(signal), Effect.asVoid(vm.exit)))
    const rabbit = at(place)
    return {
      ...rabbit,
      pid: Effect.sync(() => vm?.pid ?? 0),
      kill: ended("SIGKILL"),
      stop: ended("SIGTERM"),
      start: boot,
      memoryAlarm: (on) =>
        Effect.asVoid(
          on
            ? rabbit.ctl("set_vm_memory_high_watermark", "0.00000001")
            : rabbit.ctl("set_vm_memory_high_watermark", "absolute", "1GB")
        ),
      log
    }
  })
