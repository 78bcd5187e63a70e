/** What a programme says is its transcript; what it asks for (`drop`, `block`, `unblock`, `close`) the test does. */
import { once } from "node:events"

export const [url = "", limited = "", vhost = ""] = process.argv.slice(2)

export const say = (...words: ReadonlyArray<unknown>): void => {
  process.stdout.write(`${words.map((word) => typeof word === "string" ? word : JSON.stringify(word)).join(" ")}\n`)
}

export const ask = async (what: "drop" | "block" | "unblock" | "close"): Promise<void> => {
  say("!", what)
  process.stdin.resume()
  await once(process.stdin, "data")
  process.stdin.pause()
}

/** Asks until the answer is right. */
export const until = async <A>(ask: () => Promise<A> | A, isRight: (answer: A) => boolean): Promise<A> => {
  while (true) {
    const answer = await ask()
    if (isRight(answer)) return answer
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
