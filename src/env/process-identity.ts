/**
 * Which process, of which boot of the machine: enough to tell later whether it still lives. A pid alone is not, since
 * pids are used again; with the time the process started it is, within one boot.
 */
import { readFileSync } from 'node:fs'
import { errnoOf } from './failure.js'

export interface ProcessIdentity {
  readonly pid: number
  /** When it started, in clock ticks since boot; '' where the system does not say. */
  readonly started: string
  /** Differs after every boot; '' where the system does not say. */
  readonly boot: string
}

/** Where to read; another place in tests of systems without it. */
export const PROC = '/proc'

/** This process. */
export function ownIdentity(proc = PROC): ProcessIdentity {
  return { pid: process.pid, started: statusOf(process.pid, proc)?.started ?? '', boot: bootId(proc) }
}

/** Does the process still run? Errs on the side of yes: where the system says little, a pid in use counts. */
export function isAlive(holder: ProcessIdentity, proc = PROC): boolean {
  const boot = bootId(proc)
  if (holder.boot !== '' && boot !== '' && holder.boot !== boot) return false
  const status = statusOf(holder.pid, proc)
  // Unreadable is not the same as gone: the process may be another user's, hidden from this one.
  if (status === null) return answersSignals(holder.pid)
  if (status.ended) return false
  return holder.started === '' || holder.started === status.started
}

interface ProcessStatus {
  readonly started: string
  /** Killed, but not yet waited for by its parent. */
  readonly ended: boolean
}

/** Fields 3 and 22 of `/proc/<pid>/stat`, or null if it cannot be read. */
function statusOf(pid: number, proc: string): ProcessStatus | null {
  const text = readOrNull(`${proc}/${pid}/stat`)
  if (text === null) return null
  // Field 2, the program's name, is in parentheses and may itself hold spaces and parentheses.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const [state, started] = [fields[0], fields[19]]
  return started === undefined ? null : { started, ended: state === 'Z' || state === 'X' }
}

function bootId(proc: string): string {
  return readOrNull(`${proc}/sys/kernel/random/boot_id`)?.trim() ?? ''
}

function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return null
  }
}

function answersSignals(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return errnoOf(error) !== 'ESRCH'
  }
}
