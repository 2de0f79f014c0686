/** The `gnitz` command. */
import { cli } from './cli.js'

process.exitCode = await cli(process.argv.slice(2), {
  out: text => process.stdout.write(text),
  err: text => process.stderr.write(text),
})
