import { assert, describe, it } from "@effect/vitest"
import type { Transport } from "effect-amqp"
import { Frame } from "effect-amqp/amqp091"
import { Faults, type Victim } from "../../../src/broker/internal/faults.ts"

/** A connection of nobody, over a pipe that writes down what is done to it. */
const connection = () => {
  const calls: Array<string> = []
  let handler: Transport.PipeHandler | undefined
  const pipe: Transport.Pipe = {
    remote: "somewhere:1",
    tls: undefined,
    start: (given) => {
      handler = given
    },
    write: (bytes, onWritten) => {
      calls.push(`write ${bytes.length}`)
      onWritten?.()
      return true
    },
    endOfTurn: (task) => queueMicrotask(task),
    pause: () => void calls.push("pause"),
    resume: () => void calls.push("resume"),
    end: () => void calls.push("end"),
    destroy: () => void calls.push("destroy")
  }
  const victim: Victim = {
    name: "one",
    isOpen: true,
    isBetweenFrames: true,
    drop: () => {},
    goodbye: () => {},
    closeChannels: () => 0,
    cancelConsumers: () => 0,
    block: () => {},
    onReading: () => {},
    onPublish: undefined
  }
  const faults = new Faults({ now: () => 0, due: () => {} })
  const faulty = faults.accept(pipe)
  assert(faulty !== undefined)
  const heard: Array<string> = []
  faulty.start({
    onData: (_, start, end) => void heard.push(`data ${end - start}`),
    onDrain: () => {},
    onClose: () => void heard.push("close")
  })
  faults.attend(faulty, victim)
  return {
    calls,
    faults,
    faulty,
    heard,
    read: (bytes: Uint8Array) => handler?.onData(bytes, 0, bytes.length),
    close: () => handler?.onClose()
  }
}

describe("a pipe with faults", () => {
  it("cut in a frame is ended behind its half and left to the client's end, whatever comes or goes", async () => {
    const { calls, close, faults, faulty, heard } = connection()
    faults.inject({ _tag: "CutFrame" })
    faulty.write(Frame.heartbeat)
    faults.inject({ _tag: "SplitWrites" })
    faults.heal()
    await Promise.resolve()
    faulty.destroy()
    assert.deepStrictEqual(calls, ["write 4", "end"])
    assert.deepStrictEqual(heard, ["close"])
    close()
    assert.deepStrictEqual(heard, ["close"])
    assert.strictEqual(faults.inject({ _tag: "Drop" }).affected, 0)
  })

  it("that is silent is destroyed by its face when it is healed, and by a drop at once", () => {
    for (const end of [{ heal: true }, { heal: false }]) {
      const { calls, faults, faulty } = connection()
      faults.inject({ _tag: "Silence" })
      faulty.write(Frame.heartbeat)
      faulty.destroy()
      assert.deepStrictEqual(calls, [])
      if (end.heal) faults.heal()
      else faults.inject({ _tag: "Drop" })
      assert.deepStrictEqual(calls, ["destroy"])
    }
  })

  it("whose face has paused stays paused when an alarm is over", () => {
    const { calls, faults, faulty, heard, read } = connection()
    const alarm = faults.inject({ _tag: "Block", reason: "memory" })
    read(Uint8Array.of(1, 0, 1, 0, 0, 0, 4, 0, 60, 0, 40, 0xce, ...Frame.heartbeat))
    assert.deepStrictEqual([calls, heard], [["pause"], []])
    faulty.pause()
    faulty.resume()
    assert.deepStrictEqual(calls, ["pause", "pause"])
    faulty.pause()
    faults.heal(alarm.id)
    assert.deepStrictEqual(heard, ["data 12", "data 8"])
    assert.deepStrictEqual(calls, ["pause", "pause", "pause"])
    faulty.resume()
    assert.deepStrictEqual(calls.at(-1), "resume")
  })

  it("without any hands through what it is given, as it is", () => {
    const { calls, faulty, heard, read } = connection()
    faulty.write(new Uint8Array(3))
    read(new Uint8Array(2))
    faulty.end()
    assert.deepStrictEqual([calls, heard], [["write 3", "end"], ["data 2"]])
  })
})
