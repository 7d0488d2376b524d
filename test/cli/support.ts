import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { formatCheckpoint } from '../../src/audit/log/checkpoint.js';
import type { LocalNoteSigner } from '../../src/audit/log/signed-note.js';
import { signNote } from '../../src/audit/log/signed-note.js';
import { bundleBytes, changedTiles, TILE_WIDTH, tileBytes, tilePath } from '../../src/audit/log/tiles.js';
import { listFiles, readFile, writeFile } from '../../src/cli/files.js';
import type { FsckStorage } from '../../src/cli/io.js';
import { run } from '../../src/cli/run.js';
import { WholeTree } from '../audit/log/support.js';

/** Files as the command has them on a machine. */
export const filesOnDisk = { readFile, writeFile, listFiles };

/** What a run of the command left behind. */
export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly complaints: string;
  /** How long it waited between tries, in milliseconds. */
  readonly slept: readonly number[];
}

/** Runs the command as it is, with files from memory and the network as it is. */
export async function ran(
  args: readonly string[],
  files: Readonly<Record<string, string | Uint8Array>> = {},
  env: Readonly<Record<string, string>> = {},
  openFsck: () => Promise<FsckStorage> = () => Promise.reject(new Error('there is no storage')),
): Promise<Ran> {
  let [out, complaints] = ['', ''];
  const slept: number[] = [];
  const code = await run(args, {
    out: (text) => void (out += text),
    complain: (text) => void (complaints += text),
    deadline: (ms) => ({ signal: AbortSignal.timeout(ms), clear: () => undefined }),
    env,
    openFsck,
    readFile: (path) => {
      const content = files[path];
      return content === undefined
        ? Promise.reject(Object.assign(new Error('no such file'), { code: 'ENOENT' }))
        : Promise.resolve(Buffer.from(content));
    },
    writeFile: () => Promise.reject(new Error('a read-only disk')),
    listFiles: (folder) =>
      Promise.resolve(
        Object.keys(files).flatMap((name) =>
          name.startsWith(`${folder}/`) ? [name.slice(folder.length + 1)] : [],
        ),
      ),
    fetch: globalThis.fetch,
    sleep: (ms) => {
      slept.push(ms);
      return Promise.resolve();
    },
  });
  return { code, out, complaints, slept };
}

/** The files of a log of these entries, as C2SP tlog-tiles lays them out, from the definition of a tile's hashes. */
export async function logFiles(
  entries: readonly string[],
  signer: LocalNoteSigner,
): Promise<Map<string, Buffer>> {
  const tree = new WholeTree(entries);
  const files = new Map<string, Buffer>();
  for (const tile of changedTiles(0, entries.length)) {
    const { level, index, width } = tile;
    const from = index * TILE_WIDTH;
    const bytes =
      level === 'entries'
        ? bundleBytes(entries.slice(from, from + width).map((entry) => Buffer.from(entry)))
        : tileBytes(
            await Promise.all(Array.from({ length: width }, (_, at) => tree.read(8 * level, from + at))),
          );
    files.set(tilePath(tile), Buffer.from(bytes));
  }
  files.set('checkpoint', Buffer.from(await checkpointOf(entries, signer)));
  return files;
}

export async function checkpointOf(entries: readonly string[], signer: LocalNoteSigner): Promise<string> {
  const size = entries.length;
  return signNote(
    formatCheckpoint({ origin: signer.name, size, root: new WholeTree(entries).root(size) }),
    signer,
  );
}

export interface LogServer {
  readonly url: string;
  readonly files: Map<string, Buffer>;
  /** Paths that were asked for, with the headers that came along. */
  readonly asked: { path: string; headers: IncomingHttpHeaders }[];
  /** Answers that go before the files, one for each request. */
  readonly before: { status: number; headers?: Record<string, string> }[];
  /** Requests that were under way at the same time at most. */
  busiest: number;
  close(): void;
}

/** Serves files below /log/ on a free port of this machine. */
export async function serveLog(files: Map<string, Buffer>): Promise<LogServer> {
  const asked: LogServer['asked'] = [];
  const before: LogServer['before'] = [];
  let busy = 0;
  const server = createServer((request, response) => {
    busy += 1;
    served.busiest = Math.max(served.busiest, busy);
    const path = (request.url ?? '').replace('/log/', '');
    asked.push({ path, headers: request.headers });
    const first = before.shift();
    const content = served.files.get(path);
    const status = first?.status ?? (content === undefined ? 404 : 200);
    // Not at once, so that requests which are made side by side meet.
    setImmediate(() => {
      busy -= 1;
      response.writeHead(status, first?.headers).end(status === 200 ? content : undefined);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/log`;
  const close = (): void => {
    server.closeAllConnections();
    server.close();
  };
  const served: LogServer = { url, files, asked, before, busiest: 0, close };
  return served;
}
