import { programme } from "./programme.ts"

programme("amqp_tools.sh", ["amqp-tools"])
