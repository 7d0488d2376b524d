import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import type { Sample } from '../../src/domain/series.js';
import { CSV_HEADER, csvLine, parseCsvLines } from '../../src/domain/series-csv.js';
import { Budget } from '../../src/storage/backoff.js';
import type { BlobStore } from '../../src/storage/ports.js';
import { merged, readYear, TooManyMembers, writeYear } from '../../src/storage/year-file.js';
import { sampleKey } from '../../src/storage/series-rows.js';
import { QuickClock } from '../lifecycle/support.js';
import { seededEntropy } from '../support/entropy.js';
import { MemoryBlobs } from '../support/memory-blobs.js';

const clock = new QuickClock();
const entropy = seededEntropy('year-file');
const budget = (): Budget => new Budget(clock, entropy);
const START = Date.UTC(2025, 0, 1);
const sample = (n: number, context = {}): Sample => ({ ms: START + n * 1000, value: n / 8, context, seq: 1 + Math.floor(n / 1000), at: n % 1000 }); // prettier-ignore

async function* batches(all: readonly Sample[], size = 1000): AsyncGenerator<readonly Sample[]> {
  for (let at = 0; at < all.length; at += size) yield all.slice(at, at + size);
}

async function read(blobs: BlobStore, file: Awaited<ReturnType<typeof writeYear>>, from?: string): Promise<Sample[]> {
  const found: Sample[] = [];
  for await (const { samples } of readYear(blobs, file.blob, 'met_x', file, budget, from)) found.push(...samples);
  return found;
} // prettier-ignore

describe('a file of values', () => {
  it('is gzip of CSV to everybody, the same bytes for the same values, and can be read from anywhere', async () => {
    const all = Array.from({ length: 9001 }, (_, n) => sample(n, n % 3 === 0 ? { 'a"b': ['\n', n] } : {}));
    const blobs = new MemoryBlobs(clock);
    const file = await writeYear(blobs, 'a.csv.gz', batches(all), 10, budget);
    const again = await writeYear(blobs, 'b.csv.gz', batches(all, 7), 10, budget);
    expect([file.members.length, again.sha256]).toEqual([3, file.sha256]);
    const bytes = (await blobs.find('records', 'a.csv.gz'))?.bytes ?? new Uint8Array();
    expect(bytes.length).toBe(file.bytes);
    const text = gunzipSync(bytes).toString('utf8'); // prettier-ignore
    expect(text).toBe(CSV_HEADER + all.map(csvLine).join(''));
    // One stream: its end says the length of all of it.
    expect(Buffer.from(bytes).readUInt32LE(bytes.length - 4)).toBe(Buffer.byteLength(text));
    expect(await read(blobs, file)).toEqual(all);
    for (const n of [0, 1, 3999, 4000, 4001, 9000]) {
      const some = await read(blobs, file, sampleKey(all[n] as Sample));
      expect(some.slice(-(9001 - n))).toEqual(all.slice(n));
      expect(some.length - (9001 - n)).toBeLessThan(4000);
    }
  });

  it('holds a block and a member of what it is made of, however much that is', async () => {
    let [pulled, staged, most, blocks] = [0, 0, 0, 0];
    const inner = new MemoryBlobs(clock);
    const blobs = new Proxy(inner, {
      get: (target, name) => {
        const member: unknown = Reflect.get(target, name);
        if (name !== 'stageBlock')
          return typeof member === 'function' ? (member.bind(target) as unknown) : member;
        return async (container: string, blob: string, id: string, bytes: Uint8Array): Promise<void> => {
          blocks += 1;
          staged += bytes.length;
          most = Math.max(most, bytes.length);
          await target.stageBlock(container, blob, id, bytes);
          // What does not compress to less than half of it is staged soon after it was read.
          expect(pulled / 2 - staged).toBeLessThan(3 * 1024 * 1024);
        };
      },
    });
    async function* many(): AsyncGenerator<readonly Sample[]> {
      for (let n = 0; n < 6000; n += 1) {
        const noise = Buffer.from(entropy.bytes(500)).toString('hex');
        pulled += noise.length;
        yield [sample(n, { noise })];
      }
    }
    const file = await writeYear(blobs, 'a.csv.gz', many(), 1000, budget);
    expect(file.bytes).toBeGreaterThan(3_000_000);
    expect([staged, most < 4 * 1024 * 1024, blocks >= 3]).toEqual([file.bytes, true, true]);
  });

  it('has no more members than its row has room for', async () => {
    const all = Array.from({ length: 8001 }, (_, n) => sample(n));
    const blobs = new MemoryBlobs(clock);
    await expect(writeYear(blobs, 'a.csv.gz', batches(all), 2, budget)).rejects.toThrow(TooManyMembers);
    expect(await blobs.find('records', 'a.csv.gz')).toBeUndefined();
  });

  it('is not read where a line, or a byte, is another', async () => {
    for (const text of ['2025-01-01T00:00:00.000Z,1,1,0', '2025-13-01T00:00:00.000Z,1,1,0,\r\n', 'x,1,1,0,\r\n', '2025-01-01T00:00:00.000Z,NaN,1,0,\r\n', '2025-01-01T00:00:00.000Z,1,1,0,"{"\r\n', '2025-01-01T00:00:00.000Z,1,1,0,"{}\r\n', '2025-01-01T00:00:00.000Z,1,-1,0,\r\n'])
      expect(parseCsvLines(text), text).toBeUndefined();
    expect(parseCsvLines('')).toEqual([]);
    const blobs = new MemoryBlobs(clock);
    const file = await writeYear(blobs, 'a.csv.gz', batches([sample(1)]), 2, budget);
    const shifted = { ...file, head: file.head + 1 };
    await expect(read(blobs, shifted)).rejects.toMatchObject({ code: 'integrity-failure' });
  }); // prettier-ignore
});

describe('samples of several sources', () => {
  it('come in their order, each once, whatever lies where', async () => {
    const all = Array.from({ length: 500 }, (_, n) => sample(n));
    const draw = (): number => entropy.bytes(1)[0] as number;
    for (let times = 0; times < 30; times += 1) {
      const sources: Sample[][] = [[], [], []];
      for (const one of all) for (const at of new Set([draw() % 3, draw() % 3])) sources[at]?.push(one);
      const found: Sample[] = [];
      for await (const some of merged(sources.map((one) => batches(one, 1 + (draw() % 90)))))
        found.push(...some);
      expect(found).toEqual(all);
    }
  });
});
