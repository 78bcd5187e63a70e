/**
 * The embedded broker.
 *
 * @since 0.1.0
 */
export * as Broker from "./Broker.ts"
export * as Fault from "./Fault.ts"
export * as Model from "./Model.ts"
