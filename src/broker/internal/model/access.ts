/**
 * Who may come in: users, their passwords, and the virtual hosts open to each.
 *
 * @since 0.1.0
 */
import * as Redacted from "effect/Redacted"

/** Looks at every character of what was offered, so that the time taken does not tell how much of it was right. */
const sameText = (known: string, offered: string): boolean => {
  let difference = known.length ^ offered.length
  for (let index = 0; index < offered.length; index++) difference |= known.charCodeAt(index) ^ offered.charCodeAt(index)
  return difference === 0
}

interface User {
  password: Redacted.Redacted<string>
  readonly vhosts: Set<string>
}

/** @internal */
export class Access {
  readonly #users = new Map<string, User>()

  addUser(name: string, password: Redacted.Redacted<string>): void {
    const known = this.#users.get(name)
    if (known === undefined) this.#users.set(name, { password, vhosts: new Set() })
    else known.password = password
  }

  permit(user: string, vhost: string): void {
    this.#users.get(user)?.vhosts.add(vhost)
  }

  authenticate(name: string, password: Redacted.Redacted<string>): boolean {
    const user = this.#users.get(name)
    return user !== undefined && sameText(Redacted.value(user.password), Redacted.value(password))
  }

  canAccess(user: string, vhost: string): boolean {
    return this.#users.get(user)?.vhosts.has(vhost) ?? false
  }
}
