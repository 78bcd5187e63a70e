/**
 * The clocks of silence (0-9-1 §4.2.7): when a heartbeat of ours must go out, and when the peer counts as dead. Told what
 * time it is, never asking.
 *
 * @since 0.1.0
 */

// Long enough for a turn of the event loop, which reads what has arrived meanwhile.
const grace = 100

/** @internal */
export class Heartbeats {
  /** In milliseconds; 0 is off. */
  interval = 0
  lastReceived = 0
  private lastSent = 0
  /** While we do not read, the peer's silence says nothing. */
  private reading = true
  private stopped = false
  private readonly send: () => void

  constructor(send: () => void) {
    this.send = send
  }

  /** Starts both clocks: called when the handshake is done. */
  touch(now: number): void {
    this.lastReceived = now
    this.lastSent = now
  }

  received(now: number): void {
    this.lastReceived = now
  }

  /** Octets were handed to the socket. */
  sent(now: number): void {
    this.lastSent = now
  }

  stop(): void {
    this.stopped = true
  }

  pauseReading(): void {
    this.reading = false
  }

  resumeReading(now: number): void {
    this.reading = true
    this.lastReceived = now
  }

  private get sendDue(): number {
    return this.lastSent + this.interval / 2
  }

  private get silenceDue(): number {
    return this.lastReceived + this.interval * 2
  }

  /** When a heartbeat must go out or the peer counts as dead; `Infinity` with heartbeats off. */
  nextDeadline(): number {
    if (this.interval === 0 || this.stopped) return Infinity
    return this.reading ? Math.min(this.sendDue, this.silenceDue) : this.sendDue
  }

  /** The clock was stopped for too long: the peer has a little time more before its silence counts. */
  forgive(now: number): void {
    this.lastReceived = Math.max(this.lastReceived, now - this.interval * 2 + grace)
  }

  /** Sends a heartbeat when due. `false`: the peer has been silent for two intervals. */
  tick(now: number): boolean {
    if (this.interval === 0 || this.stopped) return true
    if (this.reading && now >= this.silenceDue) return false
    if (now >= this.sendDue) {
      this.send()
      this.lastSent = now
    }
    return true
  }
}
