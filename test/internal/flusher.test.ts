import { assert, describe, it } from "@effect/vitest"
import * as Frame from "../../src/amqp091/Frame.ts"
import { Flusher } from "../../src/internal/flusher.ts"
import { Output } from "../../src/internal/output.ts"
import type { Pipe } from "../../src/Transport.ts"
import { pattern, publish } from "../amqp091/internal/engines.ts"

const make = () => {
  const output = new Output({ head: Frame.encodeBodyStart, tail: Frame.encodeBodyEnd })
  const tasks: Array<() => void> = []
  const written: Array<() => void> = []
  const state = { writes: 0, octets: 0, writable: true, spaces: 0 }
  const pipe: Pipe = {
    remote: "test:1",
    tls: undefined,
    start: () => {},
    write: (bytes, onWritten) => {
      state.writes++
      state.octets += bytes.length
      if (onWritten !== undefined) written.push(onWritten)
      return state.writable
    },
    endOfTurn: (task) => void tasks.push(task),
    pause: () => {},
    resume: () => {},
    end: () => {},
    destroy: () => {}
  }
  const flusher = new Flusher(pipe, output, () => state.spaces++, () => {})
  return {
    output,
    flusher,
    state,
    tasks,
    note: () => output.frames(1, (writer) => Frame.encodeMethod(writer, 1, publish("k"))),
    endTurn: () => {
      for (const task of tasks.splice(0)) task()
    },
    kernel: () => {
      for (const each of written.splice(0)) each()
    }
  }
}

describe("Flusher", () => {
  it("writes once at the end of a turn, however often it was asked", () => {
    const { endTurn, flusher, note, state, tasks } = make()
    for (let each = 0; each < 100; each++) {
      note()
      flusher.request()
    }
    assert.strictEqual(state.writes, 0)
    assert.lengthOf(tasks, 1)
    endTurn()
    assert.strictEqual(state.writes, 1)
    assert.lengthOf(tasks, 0)
  })

  it("does not wait for the end of the turn when asked not to, nor with a full buffer", () => {
    const { flusher, note, output, state } = make()
    note()
    flusher.now()
    assert.strictEqual(state.writes, 1)
    while (output.buffered < 64 * 1024) note()
    flusher.request()
    assert.strictEqual(state.writes, 2)
    flusher.now()
    assert.strictEqual(state.writes, 2)
  })

  it("leaves a large body to the turns, so that small frames go in one write with it", () => {
    const { endTurn, flusher, note, output, state, tasks } = make()
    output.maxBody = 131_064
    note()
    output.body(1, pattern(8_000_000))
    for (let each = 0; each < 50; each++) {
      note()
      flusher.request()
    }
    assert.strictEqual(state.writes, 0)
    let turns = 0
    while (tasks.length > 0) {
      endTurn()
      turns++
    }
    assert.isAbove(turns, 4)
    assert.strictEqual(output.unflushed, 0)
    assert.isAbove(state.octets, 8_000_000)
  })

  it("writes nothing more after the pipe said stop, until it has drained", () => {
    const { endTurn, flusher, note, output, state, tasks } = make()
    state.writable = false
    note()
    flusher.now()
    assert.strictEqual(state.writes, 1)
    while (output.buffered < 100_000) {
      note()
      flusher.request()
      flusher.now()
    }
    assert.lengthOf(tasks, 0)
    endTurn()
    assert.strictEqual(state.writes, 1)
    state.writable = true
    flusher.drained()
    assert.strictEqual(state.writes, 2)
    assert.strictEqual(output.unflushed, 0)
    note()
    flusher.request()
    endTurn()
    assert.strictEqual(state.writes, 3)
  })

  it("tells of space when octets are written, not when they are handed over", () => {
    const { flusher, kernel, note, output, state } = make()
    note()
    flusher.now()
    assert.strictEqual(state.spaces, 0)
    assert.isAbove(output.pending, 0)
    kernel()
    assert.strictEqual(state.spaces, 1)
    assert.strictEqual(output.pending, 0)
    flusher.drained()
    assert.strictEqual(state.spaces, 2)
  })

  it("gives the pipe the last words when it closes, full or not, forgets the rest, and is silent", () => {
    const { endTurn, flusher, kernel, note, output, state, tasks } = make()
    note()
    output.body(1, pattern(900_000))
    state.writable = false
    flusher.now()
    flusher.request()
    output.frames(0, (writer) => Frame.encodeMethod(writer, 0, { _tag: "ConnectionCloseOk" }))
    const octets = state.octets
    flusher.close()
    assert.strictEqual(state.octets, octets + 12)
    assert.strictEqual(output.unflushed, 0)
    const { spaces, writes } = state
    note()
    flusher.close()
    flusher.request()
    flusher.now()
    flusher.drained()
    kernel()
    endTurn()
    assert.lengthOf(tasks, 0)
    assert.deepStrictEqual([state.spaces, state.writes], [spaces, writes])
  })
})
