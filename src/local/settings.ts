import { resolve } from 'node:path';
import { StartError } from './start-error.js';

/** What `npm start` takes from the environment. Everything else is the app's own configuration. */
export interface LocalSettings {
  /** 0 for any free port. */
  readonly port: number;
  readonly dataDir: string;
  /** Storage to use instead of an embedded Azurite. */
  readonly connectionString: string | undefined;
}

const CONNECTION = /(?:^|;)\s*(?:UseDevelopmentStorage\s*=\s*true|(?:AccountName|\w+Endpoint)\s*=)/i;

/** The value of a setting; one that is empty counts as one that is not set. */
export function settingOf(env: NodeJS.ProcessEnv, name: string): string | undefined {
  const value = env[name];
  return value === '' ? undefined : value;
}

function port(text: string | undefined): number {
  if (text === undefined) return 7071;
  const value = /^\d{1,5}$/.test(text) ? Number(text) : NaN;
  if (!(value <= 65_535)) throw new StartError(`PORT is not a port number: ${JSON.stringify(text)}`);
  return value;
}

/** Reads the environment. `root` is the folder of the package. */
export function readSettings(env: NodeJS.ProcessEnv, root: string): LocalSettings {
  const connectionString = settingOf(env, 'AzureWebJobsStorage');
  // The value is a secret: it is never part of the message.
  if (connectionString !== undefined && !CONNECTION.test(connectionString))
    throw new StartError('AzureWebJobsStorage is not a storage connection string');
  const dataDir = resolve(root, settingOf(env, 'DATA_DIR') ?? '.data');
  return { port: port(settingOf(env, 'PORT')), dataDir, connectionString };
}
