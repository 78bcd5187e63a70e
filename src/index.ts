/**
 * The modules both protocols share. The protocols have entries of their own (`effect-amqp/amqp091`).
 *
 * @since 0.1.0
 */
export * as AmqpError from "./AmqpError.ts"
export * as Transport from "./Transport.ts"
