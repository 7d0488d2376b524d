import { settingOf } from './settings.js';
import { StartError } from './start-error.js';

/** Replaces each `%NAME%` by the app setting of that name, as Azure does in queue names and schedules. */
export function resolveSettings(text: string, env: NodeJS.ProcessEnv, what: string): string {
  return text.replace(/%([^%]+)%/g, (_whole, name: string) => {
    const value = settingOf(env, name);
    if (value === undefined) throw new StartError(`${what} needs the setting ${name}, which is not set`);
    return value;
  });
}
