/**
 * The clock is a stream of the times that it has shown, with a waterline: `now()` is the greatest. So it never goes back,
 * it is logged and replayed like rows, and what the clock has passed is let go like what is behind a waterline.
 */
import { table, timestamptz } from './columns.js'
import { CLOCK_NAME } from './now.js'

export const CLOCK = table(CLOCK_NAME, { now: timestamptz().lateness(0n) }, { stream: true })
