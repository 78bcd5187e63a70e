/**
 * Texts that can stand for a host: names and addresses.
 *
 * @since 0.1.0
 */

const isIPv4 = (text: string): boolean => {
  const parts = text.split(".")
  return parts.length === 4 && parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255)
}

/**
 * Whether a text is an IPv6 address, with or without a zone (`fe80::1%eth0`).
 *
 * @since 0.1.0
 * @category guards
 */
export const isIPv6 = (text: string): boolean => {
  const [address = "", zone, ...rest] = text.split("%")
  if (rest.length > 0 || (zone !== undefined && !/^[\w.~-]+$/.test(zone))) return false
  const halves = address.split("::")
  if (halves.length > 2) return false
  let groups = 0
  for (const [index, half] of halves.entries()) {
    const parts = half === "" ? [] : half.split(":")
    for (const [at, part] of parts.entries()) {
      const isLast = index === halves.length - 1 && at === parts.length - 1
      if (/^[0-9A-Fa-f]{1,4}$/.test(part)) groups += 1
      else if (isLast && isIPv4(part)) groups += 2
      else return false
    }
  }
  return halves.length === 2 ? groups <= 7 : groups === 8
}

/**
 * Whether a text is an address rather than a name.
 *
 * @since 0.1.0
 * @category guards
 */
export const isAddress = (text: string): boolean => isIPv4(text) || isIPv6(text)

/**
 * Whether a text can be the name of a host.
 *
 * @internal
 */
export const isHostName = (text: string): boolean => /^[^\s/?#@[\]\\:;,%\p{Cc}]+$/u.test(text) && text.length <= 255
