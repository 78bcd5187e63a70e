import { programme } from "./programme.ts"

programme("rabbitmq_client.ts", [])
