import { programme } from "./programme.ts"

programme("kombu_client.py", ["python3-kombu"])
