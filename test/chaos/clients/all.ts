/** Who is put under chaos, in this order. */
import type { Client } from "../client.ts"
import { amqpConnectionManager } from "./amqpConnectionManager.ts"
import { ours } from "./ours.ts"
import { rabbitmqClient } from "./rabbitmqClient.ts"

export const clients: readonly [Client, ...Array<Client>] = [ours, rabbitmqClient, amqpConnectionManager]
