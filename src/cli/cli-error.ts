/** Something the user did that cannot be, said in one message without a stack. */
export class CliError extends Error {
  /** 1 = the work failed, 2 = the command line is wrong. */
  readonly exitCode: 1 | 2
  constructor(message: string, exitCode: 1 | 2 = 1) {
    super(message)
    this.exitCode = exitCode
  }
}
