/**
 * Who may come in: users, their passwords, the virtual hosts open to each, and what each may do there.
 *
 * @since 0.1.0
 */
import * as Redacted from "effect/Redacted"
import type * as Model from "../../Model.ts"

/** Looks at every character of what was offered, so that the time taken does not tell how much of it was right. */
const sameText = (known: string, offered: string): boolean => {
  let difference = known.length ^ offered.length
  for (let index = 0; index < offered.length; index++) difference |= known.charCodeAt(index) ^ offered.charCodeAt(index)
  return difference === 0
}

/**
 * A user in one virtual host. Kept by those who work there, and so as it is now.
 *
 * @internal
 */
export interface Rights {
  readonly user: string
  /** `undefined`: closed to the user. */
  permissions: Model.Permissions | undefined
}

/** @internal */
export const allows = (rights: Rights, permission: keyof Model.Permissions, name: string): boolean => {
  const { permissions } = rights
  if (permissions === undefined) return false
  const pattern = permissions[permission]
  // Not `test`, which remembers where it was when the pattern is a global one.
  return pattern === undefined || name.search(pattern) >= 0
}

interface User {
  password: Redacted.Redacted<string>
  readonly vhosts: Map<string, Rights>
}

/** @internal */
export class Access {
  readonly #users = new Map<string, User>()

  addUser(name: string, password: Redacted.Redacted<string>): void {
    const known = this.#users.get(name)
    if (known === undefined) this.#users.set(name, { password, vhosts: new Map() })
    else known.password = password
  }

  permit(user: string, vhost: string, permissions: Model.Permissions = {}): void {
    if (this.#users.has(user)) this.rights(user, vhost).permissions = permissions
  }

  /** Those of a user that does not exist stay none. */
  rights(user: string, vhost: string): Rights {
    const vhosts = this.#users.get(user)?.vhosts
    const known = vhosts?.get(vhost)
    if (known !== undefined) return known
    const rights: Rights = { user, permissions: undefined }
    vhosts?.set(vhost, rights)
    return rights
  }

  authenticate(name: string, password: Redacted.Redacted<string>): boolean {
    const user = this.#users.get(name)
    return user !== undefined && sameText(Redacted.value(user.password), Redacted.value(password))
  }

  canAccess(user: string, vhost: string): boolean {
    return this.#users.get(user)?.vhosts.get(vhost)?.permissions !== undefined
  }
}
