/** An open file of the simulated `Env`. */
import { assert, IoError, NoSpaceError } from '../base/errors.js'
import type { Prng } from '../base/prng.js'
import { BLOCK_BYTES } from './direct.js'
import type { EnvFile, OpenMode } from './env.js'
import { checkRange } from './failure.js'
import type { Fault, OperationClass } from './faults.js'
import type { SimulatedFile } from './simulated-file.js'

/** What a file needs of the world it is in. */
export interface Host {
  prng(): Prng
  /** Throws SimulatedCrash after a crash. */
  check(): void
  step<T>(
    kind: OperationClass,
    verb: string,
    path: string,
    detail: string,
    run: (fault: Fault | null) => T,
    partial: (fault: Fault) => void,
  ): T
  /** Bytes that the disk still takes. */
  room(): number
  launch(flight: Flight): void
  closed(file: SimulatedFile): void
}

/** A sync under way: comes to its effect after `delay` more operations, or when it is reported, whichever is first. */
export interface Flight {
  delay: number
  land(): void
}

/** Operations that may happen before a sync under way comes to its effect. */
const MAX_DELAY = 4

/** Microtasks that pass before a sync under way is reported. */
const MAX_HOPS = 4

const nothing = (): void => {}

export class SimulatedHandle implements EnvFile {
  private closed = false
  private syncFailure: IoError | null = null

  constructor(
    private readonly host: Host,
    readonly path: string,
    private readonly mode: OpenMode,
    private readonly file: SimulatedFile,
  ) {}

  size(): number {
    this.check()
    return this.file.sizeBytes
  }

  read(into: Uint8Array, at: number): number {
    this.check()
    checkRange(into.length, at)
    const detail = `${into.length} bytes at ${at}`
    return this.host.step('read', 'read', this.path, detail, () => this.file.read(into, at), nothing)
  }

  write(bytes: Uint8Array, at: number): void {
    this.checkWritable()
    checkRange(bytes.length, at)
    const run = (): void => {
      const fitting = this.fitting(at + bytes.length)
      this.file.write(bytes.subarray(0, Math.max(0, fitting - at)), at)
      if (fitting < at + bytes.length) throw this.full(at + bytes.length)
    }
    const partial = (fault: Fault): void => {
      if (fault !== 'error') this.file.write(bytes.subarray(0, this.host.prng().below(bytes.length + 1)), at)
    }
    this.host.step('write', 'write', this.path, `${bytes.length} bytes at ${at}`, run, partial)
  }

  writeThrough(bytes: Uint8Array, at: number): void {
    const end = at + bytes.length
    const behind = new Uint8Array(Math.ceil(end / BLOCK_BYTES) * BLOCK_BYTES - end)
    const areThere = this.file.read(behind, end) === behind.length
    assert(areThere && behind.every(byte => byte === 0), `zeros are behind byte ${end}`)
    this.write(bytes, at)
    this.sync()
  }

  truncate(sizeBytes: number): void {
    this.checkWritable('EINVAL')
    checkRange(0, sizeBytes)
    const run = (): void => {
      if (this.fitting(sizeBytes) < sizeBytes) throw this.full(sizeBytes)
      this.file.truncate(sizeBytes)
    }
    this.host.step('truncate', 'truncate', this.path, `to ${sizeBytes} bytes`, run, nothing)
  }

  sync(): void {
    this.checkSync()
    const upTo = this.file.latest
    const run = (fault: Fault | null): void => {
      if (fault !== 'drop') this.file.persist(upTo)
    }
    const partial = (fault: Fault): void => {
      if (fault !== 'crash') this.file.persistSome(upTo, this.host.prng())
    }
    try {
      this.host.step('sync', 'sync', this.path, '', run, partial)
    } catch (error) {
      if (error instanceof IoError) this.syncFailure = error
      throw error
    }
  }

  syncLater(): Promise<void> {
    this.host.check()
    if (this.closed) return Promise.reject(this.closedError())
    if (this.syncFailure !== null) return Promise.reject(this.syncFailure)
    let dropped = false
    let failure: IoError | null = null
    try {
      const run = (fault: Fault | null): void => {
        dropped = fault === 'drop'
      }
      this.host.step('sync', 'sync later', this.path, '', run, nothing)
    } catch (error) {
      if (!(error instanceof IoError)) throw error
      failure = error
    }
    const promise = this.report(this.launch(failure, dropped), failure)
    // Whoever waits for it is told; after a crash often nobody does any more.
    promise.catch(nothing)
    return promise
  }

  private launch(failure: IoError | null, dropped: boolean): Flight {
    const upTo = this.file.latest
    let landed = false
    const land = (): void => {
      if (landed) return
      landed = true
      if (failure !== null) {
        this.syncFailure ??= failure
        this.file.persistSome(upTo, this.host.prng())
      } else if (!dropped) this.file.persist(upTo)
    }
    const flight = { delay: this.host.prng().below(MAX_DELAY), land }
    this.host.launch(flight)
    return flight
  }

  private async report(flight: Flight, failure: IoError | null): Promise<void> {
    for (let hops = 1 + this.host.prng().below(MAX_HOPS); hops > 0; hops--) await null
    this.host.check()
    flight.land()
    if (failure !== null) throw failure
  }

  close(): void {
    this.host.check()
    if (this.closed) return
    this.closed = true
    this.host.closed(this.file)
  }

  /** How far from the start the file may reach, up to `sizeBytes`. */
  private fitting(sizeBytes: number): number {
    return Math.min(sizeBytes, this.file.sizeBytes + Math.max(0, this.host.room()))
  }

  private full(sizeBytes: number): NoSpaceError {
    return new NoSpaceError(this.path, `cannot grow to ${sizeBytes} bytes: the simulated disk is full`)
  }

  private check(): void {
    this.host.check()
    if (this.closed) throw this.closedError()
  }

  private checkWritable(errno = 'EBADF'): void {
    this.check()
    if (this.mode === 'read') throw new IoError(this.path, errno, 'cannot write: the file is open to read')
  }

  private checkSync(): void {
    this.check()
    if (this.syncFailure !== null) throw this.syncFailure
  }

  private closedError(): IoError {
    return new IoError(this.path, 'EBADF', 'the file is closed')
  }
}
