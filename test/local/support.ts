import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { request, type IncomingHttpHeaders, type IncomingMessage, type RequestOptions } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { HostLog } from '../../src/local/host-log.js';

/** The folder of the package. */
export const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '../..');

const folders: string[] = [];

/** A folder in the system's place for temporary ones, gone after `removeFolders`. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'local-host-'));
  folders.push(folder);
  return folder;
}

export function removeFolders(): void {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
}

/** A folder with these files in it, and the packages of this repository to import. */
export function folderWith(files: Readonly<Record<string, string>>): string {
  const folder = temporaryFolder();
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
  return folder;
}

export interface LogLine {
  readonly level: string;
  readonly message: string;
  readonly fields: object;
}

/** A log that keeps its lines. */
export function recordingLog(): HostLog & { readonly lines: LogLine[] } {
  const lines: LogLine[] = [];
  const at =
    (level: string) =>
    (message: string, fields = {}): void =>
      void lines.push({ level, message, fields });
  return { lines, debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

/** Waits until a condition holds; a test that hopes in vain ends with `what`. */
export async function until(condition: () => boolean, what: string, limitMs = 20_000): Promise<void> {
  const end = performance.now() + limitMs;
  while (!condition()) {
    if (performance.now() > end) throw new Error(`never happened: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export interface Response {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** One request on a connection of its own, sent as it is; resolves when the connection is done with. */
export async function send(port: number, options: RequestOptions, body?: Buffer | string): Promise<Response> {
  const outgoing = request({ host: '127.0.0.1', port, agent: false, ...options });
  const closed = once(outgoing, 'close');
  // Both reject with the same error; whoever awaits the answer is told.
  closed.catch(() => undefined);
  outgoing.end(body);
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  await closed;
  return { status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) };
}
