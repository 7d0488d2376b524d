import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build } from 'esbuild';
import { chromium } from 'playwright-core';
import { afterAll, describe, expect, it } from 'vitest';
import type { ProofReport } from '../../../src/audit/verifier/index.js';
import { ROOT } from '../../architecture/support.js';
import { documentOf, sample } from './proof-documents.js';

/** Where systems put a Chromium that can be driven. `CHROMIUM_PATH` names another. */
const CHROMIUM = [
  process.env['CHROMIUM_PATH'],
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
].find((path) => path !== undefined && existsSync(path));
const WHERE = CHROMIUM === undefined ? ' (skipped: no Chromium on this machine, see CHROMIUM_PATH)' : '';

async function bundle(format: 'iife' | 'esm'): Promise<{ code: string; imports: readonly string[] }> {
  const made = await build({
    absWorkingDir: ROOT,
    entryPoints: ['src/audit/verifier/index.ts'],
    bundle: true,
    write: false,
    metafile: true,
    format,
    globalName: 'verifier',
    // For browsers a Node module that is imported is an error here.
    platform: 'browser',
    target: 'es2022',
    logLevel: 'silent',
  });
  const [output] = Object.values(made.metafile.outputs);
  return {
    code: made.outputFiles[0]?.text ?? '',
    imports: [...Object.keys(made.metafile.inputs), ...(output?.imports ?? []).map(({ path }) => path)],
  };
}

describe('the verifier in a bundle for browsers', () => {
  const folder = mkdtempSync(join(tmpdir(), 'business-records-verifier-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('is made of formats, limits and canonical JSON, and of nothing that Node has and browsers do not', async () => {
    const { code, imports } = await bundle('esm');
    const allowed = /^(src\/audit\/(verifier|log)\/|src\/domain\/limits\.ts$|.*node_modules\/canonicalize\/)/;
    expect(imports.filter((path) => !allowed.test(path))).toEqual([]);
    expect(code).not.toMatch(/node:|\brequire\(|\bBuffer\b|\bprocess\./);
    expect(code.length).toBeLessThan(100_000);
  });

  it('runs by itself in Node and prints no warning', async () => {
    const { code } = await bundle('esm');
    const made = sample();
    writeFileSync(join(folder, 'verifier.mjs'), code);
    writeFileSync(join(folder, 'proof.json'), await documentOf(made));
    const script = `
      import { readFileSync } from 'node:fs';
      import { verifyRecordProof } from './verifier.mjs';
      const text = readFileSync('proof.json', 'utf8');
      const vkey = process.argv[1];
      const reports = [await verifyRecordProof(text, { vkey }), await verifyRecordProof(text.replace('second', 'third'), { vkey })];
      console.log(reports.map(({ verdict }) => verdict).join());`;
    const args = ['--input-type=module', '--eval', script, made.signer.vkey];
    const run = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8' });
    expect([run.stdout, run.stderr]).toEqual(['yes,no\n', '']);
  });

  it.skipIf(CHROMIUM === undefined)(
    `runs in a browser${WHERE}`,
    async () => {
      const { code } = await bundle('iife');
      // Web Cryptography is there in secure contexts only, and this machine's own address is one.
      const server = createServer((_, response) => {
        response
          .setHeader('content-type', 'text/html; charset=utf-8')
          .end('<!doctype html><title>verify</title>');
      }).listen(0, '127.0.0.1');
      const browser = await chromium.launch({ executablePath: CHROMIUM as string, args: ['--no-sandbox'] });
      try {
        const page = await browser.newPage();
        const errors: string[] = [];
        page.on('pageerror', (error) => void errors.push(error.message));
        page.on('console', (message) => void errors.push(message.text()));
        await page.goto(`http://127.0.0.1:${String((server.address() as AddressInfo).port)}/`);
        await page.addScriptTag({ content: code });
        const made = sample();
        const text = await documentOf(made);
        const inBrowser = (proof: string): Promise<ProofReport> =>
          page.evaluate(
            `verifier.verifyRecordProof(${JSON.stringify(proof)}, ${JSON.stringify({ vkey: made.signer.vkey })})`,
          );
        expect(await inBrowser(text)).toMatchObject({
          verdict: 'yes',
          proven: { leaf_index: 5, tree_size: 11 },
        });
        const wrong = await inBrowser(text.replace('second', 'third'));
        expect(wrong).toMatchObject({ verdict: 'no' });
        expect(wrong.checks.filter(({ outcome }) => outcome === 'fail').map(({ name }) => name)).toEqual([
          'checksum',
        ]);
        expect(errors.filter((error) => !error.includes('favicon'))).toEqual([]);
      } finally {
        await browser.close();
        server.close();
      }
    },
    120_000,
  );
});
