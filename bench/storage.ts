import { randomBytes } from 'node:crypto';
import { openAzureStorage } from '../src/azure/index.js';
import { startAzurite, type EmbeddedAzurite } from '../src/local/azurite.js';
import { storageNames } from '../src/platform.js';

const ACCOUNTS = 200;

/** An emulator of the bench's own, in memory, that gives every scenario an account of its own. */
export class BenchStorage {
  #taken = 0;

  private constructor(
    private readonly azurite: EmbeddedAzurite,
    private readonly key: string,
  ) {}

  static async start(): Promise<BenchStorage> {
    const key = randomBytes(64).toString('base64');
    const accounts = Array.from({ length: ACCOUNTS }, (_, at) => ({ name: nameOf(at), key }));
    return new BenchStorage(await startAzurite({ accounts }), key);
  }

  /** Connection string of an account that nobody has used, with everything the platform needs in it. */
  async account(): Promise<string> {
    const connectionString = this.azurite.connectionStringFor({ name: nameOf(this.#taken), key: this.key });
    this.#taken += 1;
    const storage = openAzureStorage({ connectionString });
    await storage.provision(storageNames());
    storage.close();
    return connectionString;
  }

  stop(): Promise<void> {
    return this.azurite.stop();
  }
}

function nameOf(at: number): string {
  return `bench${String(at).padStart(4, '0')}`;
}
