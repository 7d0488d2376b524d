import { StartError } from './start-error.js';

/** Replaces each `%NAME%` by the app setting of that name, as Azure does in queue names and schedules. */
export function resolveSettings(text: string, env: NodeJS.ProcessEnv, what: string): string {
  return text.replace(/%([^%]+)%/g, (_whole, name: string) => {
    const value = env[name];
    if (value === undefined || value === '')
      throw new StartError(`${what} needs the setting ${name}, which is not set`);
    return value;
  });
}
