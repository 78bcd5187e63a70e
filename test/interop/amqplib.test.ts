import { programme } from "./programme.ts"

programme("amqplib.ts", [])
