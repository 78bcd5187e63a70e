import { programme } from "./programme.ts"

programme("pika_blocking.py", ["python3-pika"])
programme("pika_select.py", ["python3-pika"])
