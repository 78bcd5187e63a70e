import { assert, describe, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { Cell } from "../../src/internal/cell.ts"

const collect = <A>(cell: Cell<A>) => Effect.fork(Stream.runCollect(cell.changes))
const settled = Effect.repeatN(Effect.yieldNow(), 50)
const valuesOf = <A>(fiber: Fiber.Fiber<Chunk.Chunk<A>>) => Effect.map(Fiber.join(fiber), Chunk.toReadonlyArray)

describe("Cell", () => {
  it.effect("begins with the present value, and ends after the last one", () =>
    Effect.gen(function*() {
      const cell = new Cell(0)
      cell.unsafeSet(1)
      const fiber = yield* collect(cell)
      yield* settled
      cell.unsafeSet(2)
      yield* settled
      cell.unsafeSet(3)
      cell.unsafeSet(4)
      cell.unsafeEnd()
      assert.deepStrictEqual(yield* valuesOf(fiber), [1, 2, 3, 4])
      assert.strictEqual(cell.unsafeGet(), 4)
    }))

  it.effect("misses nothing that is set while a subscriber comes, and goes back to nothing older", () =>
    Effect.gen(function*() {
      for (let yields = 0; yields < 30; yields++) {
        const cell = new Cell(0)
        const fiber = yield* collect(cell)
        for (let each = 1; each <= yields; each++) {
          cell.unsafeSet(each)
          yield* Effect.yieldNow()
        }
        cell.unsafeSet(100)
        cell.unsafeEnd()
        const seen = yield* valuesOf(fiber)
        assert.strictEqual(seen.at(-1), 100)
        const first = seen[0] ?? -1
        assert.deepStrictEqual(
          seen,
          [...Array.from({ length: yields + 1 }, (_, index) => index), 100].filter((value) => value >= first)
        )
      }
    }))

  it.effect("does not repeat a value that is equal to the one before", () =>
    Effect.gen(function*() {
      const cell = new Cell(Data.struct({ n: 1 }))
      const fiber = yield* collect(cell)
      yield* settled
      cell.unsafeSet(Data.struct({ n: 1 }))
      cell.unsafeSet(Data.struct({ n: 2 }))
      cell.unsafeSet(Data.struct({ n: 2 }))
      cell.unsafeSet(Data.struct({ n: 1 }))
      cell.unsafeEnd()
      assert.deepStrictEqual((yield* valuesOf(fiber)).map(({ n }) => n), [1, 2, 1])
    }))

  it.effect("keeps the newest 64 for one that does not keep up, the end included", () =>
    Effect.gen(function*() {
      const cell = new Cell(0)
      const fiber = yield* Effect.fork(
        Stream.runFold(cell.changes, [] as Array<number>, (seen, value) => {
          if (value === 0) { for (let each = 1; each <= 1000; each++) cell.unsafeSet(each) }
          if (value === 0) cell.unsafeEnd()
          seen.push(value)
          return seen
        })
      )
      assert.deepStrictEqual(
        yield* Fiber.join(fiber),
        [0, ...Array.from({ length: 64 }, (_, index) => 937 + index)]
      )
    }))

  it.effect("has one last value for whoever comes after its end, and takes no more", () =>
    Effect.gen(function*() {
      const cell = new Cell(0)
      cell.unsafeEnd()
      cell.unsafeEnd()
      cell.unsafeSet(1)
      assert.strictEqual(cell.unsafeGet(), 0)
      assert.deepStrictEqual(Chunk.toReadonlyArray(yield* Stream.runCollect(cell.changes)), [0])
    }))

  it.effect("tells every subscriber, and goes on when one is interrupted or has enough", () =>
    Effect.gen(function*() {
      const cell = new Cell(0)
      const fiber = yield* collect(cell)
      const gone = yield* collect(cell)
      const short = yield* Effect.fork(Stream.runCollect(Stream.take(cell.changes, 2)))
      yield* settled
      yield* Fiber.interrupt(gone)
      for (let each = 1; each <= 3; each++) {
        cell.unsafeSet(each)
        yield* settled
      }
      cell.unsafeEnd()
      assert.deepStrictEqual(yield* valuesOf(short), [0, 1])
      assert.deepStrictEqual(yield* valuesOf(fiber), [0, 1, 2, 3])
    }))
})
