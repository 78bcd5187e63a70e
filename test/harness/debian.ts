/** Brokers and clients of other hands, as Debian packages them: what is installed here, and how to get the rest. */
import { existsSync, readFileSync } from "node:fs"

const files = {
  "rabbitmq-server": "/usr/lib/rabbitmq/bin/rabbitmq-server",
  "python3-pika": "/usr/lib/python3/dist-packages/pika",
  "python3-kombu": "/usr/lib/python3/dist-packages/kombu",
  "amqp-tools": "/usr/bin/amqp-publish",
  "tshark": "/usr/bin/tshark",
  "openssl": "/usr/bin/openssl"
}

export type Package = keyof typeof files

/** What one needs of these and has not. */
export const missing = (packages: ReadonlyArray<Package>): ReadonlyArray<Package> =>
  packages.filter((name) => !existsSync(files[name]))

/** How to get it. */
export const howToInstall = (packages: ReadonlyArray<string>): string =>
  `apt-get install -y --no-install-recommends ${packages.join(" ")}`

/** The line for the end of a run, from what `describeWith` (describe.ts) noted in the file. */
export const skipSummary = (file: string): string | undefined => {
  const skips = readFileSync(file, "utf8").split("\n").filter((line) => line !== "").map((line) => line.split("\t"))
  if (skips.length === 0) return undefined
  const packages = [...new Set(skips.flatMap(([, names]) => names?.split(" ") ?? []))]
  const titles = skips.map(([title]) => title).join("; ")
  return `SKIPPED ${skips.length} suites (${titles}): not installed: ${packages.join(", ")}. ${howToInstall(packages)}`
}
