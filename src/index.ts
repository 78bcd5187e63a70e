/**
 * The modules both protocols share. The protocols have entries of their own (`effect-amqp/amqp091`): two `Connection`s would
 * collide here.
 *
 * @since 0.1.0
 */
export * as AmqpError from "./AmqpError.ts"
export * as AmqpUrl from "./AmqpUrl.ts"
export * as Compression from "./Compression.ts"
export * as Credentials from "./Credentials.ts"
export * as ErrorPolicy from "./ErrorPolicy.ts"
export * as Metrics from "./Metrics.ts"
export type * as Pool from "./Pool.ts"
export * as Reconnect from "./Reconnect.ts"
export * as Transport from "./Transport.ts"
