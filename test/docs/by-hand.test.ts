import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { created, newTenant, vote } from '../support/decisions.js';
import { httpHost } from '../support/http-harness.js';
import { TEST_LOG_KEYS } from '../support/log-keys.js';
import { storageNames } from '../../src/platform.js';
import { memoryPorts } from '../support/memory-ports.js';
import { realClock } from '../support/virtual-clock.js';

const run = promisify(execFile);
const PAGE = join(import.meta.dirname, '..', '..', 'docs', 'verify-it-yourself.md');

it('the program on the page says yes to every proof, and no to one that was changed', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'by-hand-'));
  try {
    const [, code = ''] = /```js\n([^]*?)```/.exec(await readFile(PAGE, 'utf8')) ?? [];
    await writeFile(join(folder, 'by-hand.mjs'), code);
    const host = httpHost(memoryPorts({ clock: realClock, names: storageNames() }));
    const tenant = newTenant();
    const [vkey = ''] = TEST_LOG_KEYS.vkeys(tenant);
    const [other = ''] = TEST_LOG_KEYS.vkeys(newTenant());
    const { id } = (await created(host, {}, { tenant })).envelope;
    for (let at = 0; at < 6; at += 1) await host.post(`/decisions/${id}/votes`, vote(`a${at}`), { tenant });
    await host.platform.sealer.sealTenant(tenant);
    const byHand = async (text: string, key = vkey): Promise<string> => {
      await writeFile(join(folder, 'proof.json'), text);
      const ended = run(process.execPath, [join(folder, 'by-hand.mjs'), join(folder, 'proof.json'), key]);
      return ended.then(
        ({ stdout }) => stdout,
        (ended: unknown) => (ended as { stdout: string }).stdout,
      );
    };
    const yes = 'leaf in the tree: true, checkpoint signed: true';
    let text = '';
    for (let revision = 1; revision <= 7; revision += 1) {
      text = (await host.get(`/decisions/${id}/proof?revision=${String(revision)}`, { tenant })).text;
      const { checksum } = JSON.parse(text).envelope as { checksum: string };
      expect(await byHand(text)).toBe(`${yes}\n${checksum}\n`);
    }
    expect(await byHand(text.replace('\\"revision\\":7', '\\"revision\\":8'))).toContain('tree: false');
    expect(await byHand(text, other)).toContain('signed: false');
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
