/**
 * AMQP 0-9-1.
 *
 * @since 0.1.0
 */
export * as Arguments from "./Arguments.ts"
export * as Channel from "./Channel.ts"
export * as ChannelPool from "./ChannelPool.ts"
export * as Connection from "./Connection.ts"
export * as ConnectionOptions from "./ConnectionOptions.ts"
export * as ConnectionPool from "./ConnectionPool.ts"
export * as Consumer from "./Consumer.ts"
export * as Death from "./Death.ts"
export * as FieldTable from "./FieldTable.ts"
export * as Frame from "./Frame.ts"
export * as Message from "./Message.ts"
export * as Method from "./Method.ts"
export * as Properties from "./Properties.ts"
export * as Publisher from "./Publisher.ts"
export * as Retry from "./Retry.ts"
export * as Rpc from "./Rpc.ts"
export * as SimpleQueue from "./SimpleQueue.ts"
export * as Topology from "./Topology.ts"
