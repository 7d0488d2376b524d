import {
  createPublicKey,
  constants,
  generateKeyPairSync,
  privateDecrypt,
  publicEncrypt,
  type KeyObject,
} from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createDefaultHttpClient, type HttpClient } from '@azure/core-rest-pipeline';

const TOKEN = 'token of the test';
const RSA = { padding: constants.RSA_PKCS1_OAEP_PADDING, oaepHash: 'sha256' } as const;

/** One key of a vault, in versions, each a real RSA key. */
interface Version {
  readonly id: string;
  readonly privateKey: KeyObject;
  enabled: boolean;
}

/**
 * The calls of Azure Key Vault that the platform makes, over HTTP on a free port, with real RSA keys and the challenge
 * by which a vault says where a token is to be had.
 */
export class TestVault {
  /** What it is called; its certificate would say so. */
  static readonly URL = 'https://records.vault.example.net';
  readonly versions: Version[] = [];
  /** Method and path of each call that had a token. */
  readonly calls: string[] = [];
  challenges = 0;
  /** Answers the next calls instead. */
  trouble: ((response: ServerResponse) => void) | undefined;
  readonly credential = {
    scopes: [] as string[],
    async getToken(scopes: string | string[]) {
      this.scopes.push(...[scopes].flat());
      return { token: TOKEN, expiresOnTimestamp: Date.now() + 3_600_000 };
    },
  };
  readonly #server = createServer((request, response) => {
    void this.#answer(request, response);
  });

  constructor(readonly name = 'tenants') {
    this.addVersion();
  }

  /** The new current version. */
  addVersion(): string {
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const id = (this.versions.length + 1).toString(16).padStart(32, '0');
    this.versions.push({ id, privateKey, enabled: true });
    return id;
  }

  async open(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Sends what goes to the vault to the server instead. */
  get httpClient(): HttpClient {
    const client = createDefaultHttpClient();
    return {
      sendRequest: async (request) => {
        const { url } = request;
        const { port } = this.#server.address() as AddressInfo;
        request.url = url.replace(TestVault.URL, `http://127.0.0.1:${String(port)}`);
        request.allowInsecureConnection = true;
        try {
          return await client.sendRequest(request);
        } finally {
          // Whoever sent it holds the challenge against what it asked.
          request.url = url;
        }
      },
    };
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const text = await textOf(request);
    if (this.trouble !== undefined) {
      this.trouble(response);
      return;
    }
    if (request.headers.authorization !== `Bearer ${TOKEN}`) {
      this.challenges += 1;
      const challenge =
        'Bearer authorization="https://login.example.net/tenant", resource="https://vault.example.net"';
      response.setHeader('WWW-Authenticate', challenge);
      answer(response, 401, problem('Unauthorized'));
      return;
    }
    const path = new URL(request.url ?? '', TestVault.URL).pathname;
    this.calls.push(`${request.method ?? ''} ${path}`);
    const [, , name, id, operation] = path.split('/');
    const version =
      id === undefined || id === '' ? this.versions.at(-1) : this.versions.find((one) => one.id === id);
    if (name !== this.name || version === undefined) answer(response, 404, problem('KeyNotFound'));
    else if (operation === undefined) answer(response, 200, this.#bundle(version));
    else if (!version.enabled) answer(response, 403, problem('Forbidden', 'KeyDisabled'));
    else this.#operate(version, operation, text, response);
  }

  #operate(version: Version, operation: string, text: string, response: ServerResponse): void {
    const { alg, value } = JSON.parse(text) as { alg: string; value: string };
    if (alg !== 'RSA-OAEP-256') {
      answer(response, 400, problem('BadParameter'));
      return;
    }
    const bytes = Buffer.from(value, 'base64url');
    try {
      const result =
        operation === 'wrapkey'
          ? publicEncrypt({ key: createPublicKey(version.privateKey), ...RSA }, bytes)
          : privateDecrypt({ key: version.privateKey, ...RSA }, bytes);
      answer(response, 200, { kid: this.#kid(version), value: result.toString('base64url') });
    } catch {
      answer(response, 400, problem('BadParameter'));
    }
  }

  #kid({ id }: Version): string {
    return `${TestVault.URL}/keys/${this.name}/${id}`;
  }

  #bundle(version: Version): object {
    const { n, e } = createPublicKey(version.privateKey).export({ format: 'jwk' });
    const key = { kid: this.#kid(version), kty: 'RSA', key_ops: ['wrapKey', 'unwrapKey'], n, e };
    return { key, attributes: { enabled: version.enabled, created: 1, updated: 1 } };
  }
}

/** An answer of trouble: a status and what the service says of it. */
export function saying(status: number, code: string): (response: ServerResponse) => void {
  return (response) => answer(response, status, problem(code));
}

function problem(code: string, inner?: string): object {
  const innererror = inner === undefined ? {} : { innererror: { code: inner } };
  return { error: { code, message: `the service says ${code}`, ...innererror } };
}

function answer(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'Content-Type': 'application/json' }).end(JSON.stringify(body));
}

async function textOf(request: IncomingMessage): Promise<string> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return Buffer.concat(parts).toString('utf8');
}
