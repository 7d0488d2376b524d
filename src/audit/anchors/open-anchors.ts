import type { Log } from '../../telemetry/log.js';
import { AnchorReader, type AnchorReaderTools } from './anchor-reader.js';
import type { CopyPlace } from './copies.js';
import { PlatformLog, type Logged, type PlatformLogTools } from './platform-log.js';
import { Publisher, type PublishCounts } from './publisher.js';
import type { Witness } from './witness.js';

/** Whether logs are anchored, by default they are; and where besides in the platform log. */
export interface AnchorOptions {
  readonly enabled?: boolean;
  readonly witness?: Witness | undefined;
  readonly copies?: CopyPlace | undefined;
}

/** Anchors of one platform: what is served, and what the job does. */
export interface Anchors {
  readonly reader: AnchorReader;
  readonly job: {
    readonly enabled: boolean;
    readonly logCheckpoint: (tenant: string, publishedSize: number) => Promise<Logged>;
    readonly publishedSize: () => Promise<number>;
    readonly publish: () => Promise<PublishCounts>;
  };
}

/** Wires them. Nothing is read or written before something is called. */
export function openAnchors(
  tools: AnchorReaderTools & Pick<PlatformLogTools, 'emitter'> & { readonly logger: Log },
  { enabled = true, witness, copies }: AnchorOptions = {},
): Anchors {
  const platformLog = new PlatformLog(tools);
  const publisher = new Publisher({ ...tools, witness, copies });
  return {
    reader: new AnchorReader(tools),
    job: {
      enabled,
      logCheckpoint: platformLog.logCheckpoint.bind(platformLog),
      publishedSize: publisher.size.bind(publisher),
      publish: publisher.round.bind(publisher),
    },
  };
}
