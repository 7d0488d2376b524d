import { spawnSync } from 'node:child_process';
import { createHash, createPrivateKey } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { proveConsistency, proveInclusion } from '../../../src/audit/log/proof.js';
import { ed25519Signer, openNote, signNote, verifierOf } from '../../../src/audit/log/signed-note.js';
import { numbered, WholeTree } from './support.js';

/**
 * Our proofs and notes beside those of golang.org/x/mod/sumdb, where the machine has Go and these packages as Debian
 * installs them (golang-go, golang-golang-x-mod-dev). What Go said once is kept below, so that every run compares.
 */
const GOPATH = '/usr/share/gocode';
const HAS_GO =
  existsSync(join(GOPATH, 'src/golang.org/x/mod/sumdb/tlog')) && spawnSync('go', ['version']).status === 0;

const SIZE = 300;
/** SHA-256 over `<index> <size> <hashes>` of all inclusion proofs, then of all consistency proofs, as Go makes them. */
const GO_DIGESTS = `1715a73be58533349b5c6325fc7c88c2a3e99ab8ed2add979430e3075d8462fd
97a802e71256acae2aad2aea0eb14b0ee85d6b26de1510aa1ecfdc5486126655
`;

const PROGRAM = `package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"os"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

type store map[int64]tlog.Hash

func (s store) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, x := range indexes {
		out[i] = s[x]
	}
	return out, nil
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	const size = ${String(SIZE)}
	s := store{}
	for i := int64(0); i < size; i++ {
		hashes, err := tlog.StoredHashes(i, []byte(fmt.Sprintf("entry %d", i)), s)
		check(err)
		at := tlog.StoredHashIndex(0, i)
		for j, h := range hashes {
			s[at+int64(j)] = h
		}
	}
	sum := sha256.New()
	for n := int64(1); n <= size; n++ {
		for i := int64(0); i < n; i++ {
			proof, err := tlog.ProveRecord(n, i, s)
			check(err)
			fmt.Fprintf(sum, "%d %d", i, n)
			for _, h := range proof {
				fmt.Fprintf(sum, " %x", h[:])
			}
			fmt.Fprintln(sum)
		}
	}
	fmt.Printf("%x\\n", sum.Sum(nil))
	sum = sha256.New()
	for n := int64(1); n <= size; n++ {
		for i := int64(1); i <= n; i++ {
			proof, err := tlog.ProveTree(n, i, s)
			check(err)
			fmt.Fprintf(sum, "%d %d", i, n)
			for _, h := range proof {
				fmt.Fprintf(sum, " %x", h[:])
			}
			fmt.Fprintln(sum)
		}
	}
	fmt.Printf("%x\\n", sum.Sum(nil))

	// A note signed by us under the key of the first argument, opened and signed again under Go's own key.
	message, err := io.ReadAll(os.Stdin)
	check(err)
	theirs, err := note.NewVerifier(os.Args[1])
	check(err)
	opened, err := note.Open(message, note.VerifierList(theirs))
	check(err)
	ours, err := note.NewSigner(os.Args[2])
	check(err)
	signed, err := note.Sign(opened, ours)
	check(err)
	os.Stdout.Write(signed)
}
`;

async function digests(): Promise<string> {
  const tree = new WholeTree(numbered(SIZE));
  const [inclusion, consistency] = [createHash('sha256'), createHash('sha256')];
  const line = (at: number, size: number, hashes: readonly string[]): string => `${[at, size, ...hashes].join(' ')}\n`; // prettier-ignore
  for (let size = 1; size <= SIZE; size++) {
    for (let at = 0; at < size; at++) {
      inclusion.update(line(at, size, await proveInclusion(at, size, tree.read)));
      consistency.update(line(at + 1, size, await proveConsistency(at + 1, size, tree.read)));
    }
  }
  return `${inclusion.digest('hex')}\n${consistency.digest('hex')}\n`;
}

/** The key of the example of sumdb/note. */
const SEED = Buffer.from('gQoUAtUUbI2E8kQzMPVAgOv5juF9nHT2JS/F1ccoMXM=', 'base64');
const SKEY = 'PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz';
const VKEY = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW';

describe('the checksum database of Go', () => {
  const folder = mkdtempSync(join(tmpdir(), 'business-records-go-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it(`makes the same proofs for all trees up to ${String(SIZE)} leaves`, async () => {
    expect(await digests()).toBe(GO_DIGESTS);
  });

  it.skipIf(!HAS_GO)(
    'still does, opens our notes, and signs them so that we open them',
    async () => {
      const der = Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), SEED]);
      const pem = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }).export({ format: 'pem', type: 'pkcs8' }); // prettier-ignore
      const signer = ed25519Signer('log.example/acme', pem.toString());
      const signed = await signNote('log.example/acme\n\nzwölf\n', signer);
      const program = join(folder, 'main.go');
      writeFileSync(program, PROGRAM);
      const env = { ...process.env, GO111MODULE: 'off', GOPATH, GOCACHE: join(folder, 'cache'), GOFLAGS: '' };
      const run = spawnSync('go', ['run', program, signer.vkey, SKEY], {
        input: signed,
        env,
        encoding: 'utf8',
      });
      expect(run.stderr).toBe('');
      const [inclusion = '', consistency = '', ...note] = run.stdout.split('\n');
      expect(`${inclusion}\n${consistency}\n`).toBe(GO_DIGESTS);
      const verifiers = [verifierOf(signer.vkey), verifierOf(VKEY)] as never;
      expect(openNote(note.join('\n'), verifiers)).toMatchObject({
        text: 'log.example/acme\n\nzwölf\n',
        signedBy: [{ name: 'log.example/acme' }, { name: 'PeterNeumann' }],
      });
    },
    300_000,
  );
});
