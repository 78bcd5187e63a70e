import { programme } from "./programme.ts"

// It is what kombu speaks with.
programme("py_amqp.py", ["python3-kombu"])
