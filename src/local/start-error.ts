/**
 * A reason not to start, told in one line to whoever ran `npm start`. Anything else that is thrown while starting is
 * a defect and keeps its stack in the log.
 */
export class StartError extends Error {
  override readonly name: string = 'StartError';
}

/** Another process already listens on the port. */
export class PortInUseError extends StartError {
  override readonly name = 'PortInUseError';
  constructor(readonly port: number) {
    super(`port ${port} is already in use: set PORT to another one, or to 0 for any free one`);
  }
}

/** The first line of what was thrown: enough for a person, never a stack. */
export function firstLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const line = message.trim().split('\n', 1)[0]?.trim() ?? '';
  return line === '' ? 'unknown error' : line;
}
