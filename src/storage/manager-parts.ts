import { BatchWriter } from './batch-writer.js';
import { DetailStore } from './detail-store.js';
import { HistoryDisposer } from './history-disposer.js';
import { LineageReader } from './lineage-reader.js';
import { ListRefresh } from './list-refresh.js';
import type { StorageManagerOptions } from './manager-types.js';
import { MovedDetails } from './moved-details.js';
import { PartLister } from './part-lister.js';
import { PartReader } from './part-reader.js';
import { PartStream } from './part-stream.js';
import { PartWriter } from './part-writer.js';
import { PutWriter } from './put-writer.js';
import { ReadCache } from './read-cache.js';
import { RecordClearer } from './record-clearer.js';
import { RecordDisposer } from './record-disposer.js';
import { RecordLister } from './record-lister.js';
import { RecordLocator } from './record-locator.js';
import { RecordMigrator } from './record-migrator.js';
import { RecordSubjects } from './record-subjects.js';
import { RecordReader } from './record-reader.js';
import { RecordWriter } from './record-writer.js';
import { SeriesDigest } from './series-digest.js';
import { SeriesReader } from './series-reader.js';
import { SeriesYears } from './series-years.js';
import { SummaryRefresh } from './summary-refresh.js';

/** What a storage manager works with: a reader or a writer for each thing it does. */
export type ManagerParts = ReturnType<typeof partsOfManager>;

/** Wires them to one storage. Nothing is read or written before something is called. */
export function partsOfManager(options: StorageManagerOptions) {
  const { clock, configurations, ports, secretBox } = options;
  const locator = new RecordLocator(ports.tables);
  const moved = new MovedDetails(ports.tables, locator);
  const details = new DetailStore(ports.blobs, secretBox, moved);
  const partReader = new PartReader(options);
  const reader = new RecordReader(options, details, locator);
  const lists = new ListRefresh(options);
  const writer = new RecordWriter(options, details, reader, locator, partReader, lists);
  const summaries = new SummaryRefresh(options, reader, partReader, locator);
  const digest = new SeriesDigest(options, reader, partReader, summaries);
  const reads = new ReadCache(clock, async (call) => (await configurations?.of(call))?.cache.enabled ?? true);
  return {
    reader,
    lister: new RecordLister(options),
    lists,
    writer,
    batches: new BatchWriter(options, reader, locator, lists),
    puts: new PutWriter(options, writer, locator, reads),
    migrator: new RecordMigrator(options, reader, details, writer),
    partReader,
    partWriter: new PartWriter(options, reader, partReader),
    partLister: new PartLister(options, reader, partReader),
    stream: new PartStream(options, partReader, summaries, locator),
    digest,
    seriesReader: new SeriesReader(options, partReader, digest, new SeriesYears(options, moved)),
    lineage: new LineageReader(options, locator),
    disposal: {
      disposer: new RecordDisposer(options, locator, reads),
      clearer: new RecordClearer(options, details, locator),
      history: new HistoryDisposer(options, locator),
      /** After a subject was erased: nothing that was opened before is answered from memory. */
      forgetReads: () => reads.forgetAll(),
      subjects: new RecordSubjects(options, details, partReader, locator),
    },
    reads,
  };
}
