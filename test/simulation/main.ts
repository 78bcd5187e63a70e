/**
 * Runs seeds: `npm run simulate -- --seeds 2000` runs 1 to 2000, `--seed 7` runs that one alone and prints all that
 * happened. A seed that fails is printed with what is wrong, and the exit code is 1.
 */
import { simulate } from "./simulate.ts"

const numberAfter = (name: string): number | undefined => {
  const at = process.argv.indexOf(name)
  if (at === -1) return undefined
  const given = Number(process.argv[at + 1])
  if (Number.isSafeInteger(given) && given >= 0) return given
  console.error(`${name} takes a whole number`)
  process.exit(2)
}

const one = numberAfter("--seed")
const seeds = numberAfter("--seeds") ?? (one === undefined ? 2000 : 1)
const first = one ?? 1
const begun = process.hrtime.bigint()
let failed = 0
let steps = 0
let messages = 0
let deliveries = 0
for (let seed = first; seed < first + seeds; seed++) {
  const result = await simulate(seed)
  steps += result.steps
  messages += result.messages
  deliveries += result.deliveries
  if (seeds === 1) { for (const line of result.log) console.log(line) }
  if (result.violations.length === 0) continue
  failed++
  console.log(`seed ${seed} fails (npm run simulate -- --seed ${seed}):`)
  for (const violation of result.violations) console.log(`  ${violation}`)
}
const seconds = Number(process.hrtime.bigint() - begun) / 1e9
console.log(
  `${seeds} seeds, ${failed} failed: ${messages} messages, ${deliveries} deliveries, ${steps} steps in ${
    seconds.toFixed(1)
  } s`
)
process.exit(failed === 0 ? 0 : 1)
