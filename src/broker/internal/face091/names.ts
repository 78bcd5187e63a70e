/**
 * Names: those the broker makes up, and what it takes out of those it is given.
 *
 * @since 0.1.0
 */

const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

const octets = 16

/** 128 random bits, which nobody guesses, in 22 characters of base64url. @internal */
export const randomName = (): string => {
  let name = ""
  let bits = 0
  let count = 0
  for (const octet of crypto.getRandomValues(new Uint8Array(octets))) {
    bits = (bits << 8) | octet
    for (count += 8; count >= 6; count -= 6) name += alphabet[(bits >> (count - 6)) & 63]
  }
  return name + alphabet[(bits << (6 - count)) & 63]
}

/** RabbitMQ drops line ends from the names of what is declared, deleted and bound, but not of what is used. @internal */
export const stripped = (name: string): string =>
  name.includes("\n") || name.includes("\r") ? name.replace(/[\r\n]/g, "") : name
