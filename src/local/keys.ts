import { createPrivateKey, generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto';
import { link, open, readFile, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { makeDataDir } from './data-dir.js';
import { settingOf } from './settings.js';
import { StartError, firstLine } from './start-error.js';

export const KEY_NAMES = ['CURSOR_KEY', 'WRAPPING_KEY', 'AUDIT_SIGNING_KEY'] as const;
export type KeyName = (typeof KEY_NAMES)[number];
type Keys = Record<KeyName, string>;

function makeKeys(): Keys {
  const { privateKey } = generateKeyPairSync('ed25519');
  return {
    CURSOR_KEY: randomBytes(32).toString('base64'),
    WRAPPING_KEY: randomBytes(32).toString('base64'),
    AUDIT_SIGNING_KEY: privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
  };
}

function isSecret(value: unknown): value is string {
  return typeof value === 'string' && Buffer.from(value, 'base64').length === 32;
}

function isSigningKey(value: unknown): value is string {
  try {
    return typeof value === 'string' && createPrivateKey(value).asymmetricKeyType === 'ed25519';
  } catch {
    return false;
  }
}

function parseKeys(text: string, path: string): Keys {
  // The message never quotes the file: a parser's complaint may hold a piece of a key.
  const corrupt = new StartError(
    `${path} is damaged: restore it from a backup, or give the keys in the environment`,
  );
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    throw corrupt;
  }
  if (typeof json !== 'object' || json === null) throw corrupt;
  const { CURSOR_KEY, WRAPPING_KEY, AUDIT_SIGNING_KEY } = json as Partial<Record<KeyName, unknown>>;
  if (!isSecret(CURSOR_KEY) || !isSecret(WRAPPING_KEY) || !isSigningKey(AUDIT_SIGNING_KEY)) throw corrupt;
  return { CURSOR_KEY, WRAPPING_KEY, AUDIT_SIGNING_KEY };
}

async function readKeys(path: string): Promise<Keys | undefined> {
  let text: string;
  try {
    const { mode } = await stat(path);
    // Refused rather than tightened: others may have read the keys already, and the owner should know.
    if (process.platform !== 'win32' && (mode & 0o077) !== 0)
      throw new StartError(`${path} can be read by others: run chmod 600 on it, or replace the keys`);
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (error instanceof StartError) throw error;
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new StartError(
      `${path} cannot be read: ${(error as NodeJS.ErrnoException).code ?? firstLine(error)}`,
    );
  }
  return parseKeys(text, path);
}

async function writeDurably(path: string, text: string): Promise<void> {
  const file = await open(path, 'wx', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

/**
 * Writes new keys unless there are some: `link` makes the name only if nobody has it, and makes it with the whole
 * content, so of two hosts that start at once both end with the winner's keys.
 */
async function createKeys(path: string): Promise<void> {
  const temporary = `${path}.${randomUUID()}.tmp`;
  try {
    await writeDurably(temporary, `${JSON.stringify(makeKeys(), null, 2)}\n`);
    await link(temporary, path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== 'EEXIST') throw new StartError(`${path} cannot be written: ${code ?? firstLine(error)}`);
  } finally {
    await unlink(temporary).catch(() => undefined);
  }
}

/**
 * The keys that `env` does not give, from `keys.json` in the data folder, which is made with new keys on first run.
 * Values of the environment win and are never written; when it gives all three, no file is read or made.
 */
export async function loadKeys(
  dataDir: string,
  env: NodeJS.ProcessEnv,
): Promise<Partial<Record<KeyName, string>>> {
  const missing = KEY_NAMES.filter((name) => settingOf(env, name) === undefined);
  if (missing.length === 0) return {};
  await makeDataDir(dataDir);
  const path = join(dataDir, 'keys.json');
  let keys = await readKeys(path);
  if (keys === undefined) {
    await createKeys(path);
    keys = await readKeys(path);
  }
  if (keys === undefined) throw new StartError(`${path} disappeared while it was being made`);
  const found = keys;
  return Object.fromEntries(missing.map((name) => [name, found[name]]));
}
