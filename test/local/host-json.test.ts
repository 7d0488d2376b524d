import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, describe, expect, it } from 'vitest';
import { parseTimeSpan, readHostJson } from '../../src/local/host-json.js';
import { removeFolders, temporaryFolder } from './support.js';

afterAll(removeFolders);

const read = (text: string) => {
  const path = join(temporaryFolder(), 'host.json');
  writeFileSync(path, text);
  return readHostJson(path);
};

describe('host.json', () => {
  it('without settings means the defaults of Azure', async () => {
    expect(await read('{"version":"2.0","logging":{}}')).toEqual({
      routePrefix: 'api',
      queues: {
        batchSize: 16,
        newBatchThreshold: 8,
        maxPollingIntervalMs: 60_000,
        retryDelayS: 0,
        maxDequeueCount: 5,
      },
    });
  });

  it('sets the route prefix and how queues are polled', async () => {
    const queues = {
      batchSize: 4,
      newBatchThreshold: 1,
      maxPollingInterval: '00:00:02',
      visibilityTimeout: '00:01:30',
      maxDequeueCount: 9,
    };
    expect(
      await read(JSON.stringify({ version: '2.0', extensions: { http: { routePrefix: '/' }, queues } })),
    ).toEqual({
      routePrefix: '',
      queues: {
        batchSize: 4,
        newBatchThreshold: 1,
        maxPollingIntervalMs: 2_000,
        retryDelayS: 90,
        maxDequeueCount: 9,
      },
    });
  });

  it.each([
    ['{', /cannot be read/],
    ['{}', /version/],
    ['{"version":"2.0","extensions":{"queues":{"batchSize":33}}}', /extensions\.queues\.batchSize/],
    [
      '{"version":"2.0","extensions":{"queues":{"maxPollingInterval":"2 s"}}}',
      /maxPollingInterval is not a time span/,
    ],
    ['{"version":"2.0","extensions":{"queues":{"messageEncoding":"none"}}}', /messageEncoding/],
  ])('%s is refused with a line that names the fault', async (text, message) => {
    await expect(read(text)).rejects.toMatchObject({
      name: 'StartError',
      message: expect.stringMatching(message),
    });
  });

  it('that is missing is refused', async () => {
    await expect(readHostJson(join(temporaryFolder(), 'host.json'))).rejects.toThrow(
      /host\.json cannot be read/,
    );
  });
});

describe('a time span', () => {
  it('is read as .NET writes it', () => {
    fc.assert(
      fc.property(fc.nat(99), fc.nat(23), fc.nat(59), fc.nat(59), fc.nat(999), (d, h, m, s, ms) => {
        const two = (value: number): string => String(value).padStart(2, '0');
        const text = `${d === 0 ? '' : `${d}.`}${two(h)}:${two(m)}:${two(s)}.${String(ms).padStart(3, '0')}0000`;
        expect(parseTimeSpan(text)).toBe((((d * 24 + h) * 60 + m) * 60 + s) * 1000 + ms);
      }),
    );
  });

  it.each(['', '5', '00:00:60', '24:00:00', '-00:00:01', '00:00'])('is not "%s"', (text) => {
    expect(parseTimeSpan(text)).toBeUndefined();
  });
});
