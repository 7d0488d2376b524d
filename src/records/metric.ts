import { z } from 'zod';
import { formatTime, parseTime } from '../domain/clock.js';
import { defineRecord } from '../domain/define-record.js';
import { invalid } from '../domain/errors.js';
import { parseId } from '../domain/ids.js';
import { LIMITS } from '../domain/limits.js';
import { METADATA_LINKS } from '../domain/links.js';
import { defineParts } from '../domain/parts.js';
import type { DomainContext } from '../domain/record-type.js';
import { EVERY_VALUE, METADATA_SENSITIVE, METADATA_SUBJECTS } from '../domain/subjects.js';
import { dictionary, label, recordId, time } from '../domain/schema-parts.js';

/** REQ-DATA-003. */
const METRIC_TYPES = ['counter', 'gauge', 'percentage', 'currency', 'duration', 'ratio'] as const;
const VALUES_AT_ONCE = 1000;
/** Finite, and so that no sum of them is not: JSON has no infinities. */
const number = z.number().min(-1e300).max(1e300);

/** `MetricValue` as it is stored. */
const metricValue = z.strictObject({ value: number, timestamp: time(), context: dictionary().default({}) });
/** `MetricValue` as it is submitted; `timestamp` defaults to now. */
const submittedValue = z.strictObject({
  value: number,
  timestamp: time().optional(),
  context: dictionary().default({}),
});

const shape = {
  name: label(),
  metric_type: z.enum(METRIC_TYPES),
  unit: label(),
  current_value: number,
  target_value: number.optional(),
  metadata: dictionary().default({}),
};
const metric = z.strictObject({
  ...shape,
  metric_id: recordId(),
  timestamp: time(),
  historical_values: z.array(metricValue).max(VALUES_AT_ONCE).default([]),
});
const submittedMetric = z.strictObject({
  ...shape,
  timestamp: time().optional(),
  historical_values: z.array(submittedValue).max(VALUES_AT_ONCE).default([]),
});
const submittedValues = z.strictObject({ values: z.array(submittedValue).min(1).max(VALUES_AT_ONCE) });
const storedValues = z.strictObject({ values: z.array(metricValue) });

export type BusinessMetric = z.infer<typeof metric>;
export type BusinessMetricInput = z.input<typeof submittedMetric>;
export type MetricValue = z.infer<typeof metricValue>;
export type MetricValueInput = z.input<typeof submittedValue>;

function create(input: z.output<typeof submittedMetric>, context: DomainContext): BusinessMetric {
  // The id carries the time at which an inbox accepted it, whatever the clock of whoever stores it.
  const nowMs = Math.max(context.nowMs, parseId(context.id)?.ms ?? 0);
  assertNotAhead('historical_values', input.historical_values, nowMs);
  return {
    ...input,
    metric_id: context.id,
    timestamp: input.timestamp ?? formatTime(context.nowMs),
    historical_values: input.historical_values.map((value) => stamped(value, context.nowMs)),
  };
}

function stamped(value: z.output<typeof submittedValue>, nowMs: number): MetricValue {
  return { ...value, timestamp: value.timestamp ?? formatTime(nowMs) };
}

/** Throws `record-invalid` for values that are still to come. */
function assertNotAhead(
  member: string,
  list: readonly z.output<typeof submittedValue>[],
  nowMs: number,
): void {
  const ahead = list.flatMap(({ timestamp }, at) =>
    (timestamp === undefined ? 0 : (parseTime(timestamp) ?? 0)) > nowMs + LIMITS.createdAtAheadMs
      ? [{ pointer: `/${member}/${String(at)}/timestamp`, detail: 'must be at most 5 minutes ahead' }]
      : [],
  );
  if (ahead.length > 0) throw invalid(ahead.slice(0, 100));
}

interface Latest extends Record<string, unknown> {
  /** The value with the latest time of all that were posted; of several the one that arrived last. */
  readonly latest?: { readonly value: number; readonly timestamp: string } | undefined;
}

const values = defineParts<
  BusinessMetric,
  z.output<typeof submittedValues>,
  z.infer<typeof storedValues>,
  Latest
>({
  path: 'values',
  table: 'metricentries',
  verb: 'values',
  input: submittedValues,
  entry: storedValues,
  initial: {},
  example: { values: [{ value: 40, timestamp: '2026-02-01T00:00:00Z' }, { value: 39.5 }] },
  add: ({ totals }, input, { nowMs }) => {
    assertNotAhead('values', input.values, nowMs);
    const added = input.values.map((value) => stamped(value, nowMs));
    const latest = added.reduce(
      (late, { value, timestamp }) =>
        late === undefined || timestamp >= late.timestamp ? { value, timestamp } : late,
      totals.latest,
    );
    return { entry: { values: added }, totals: { latest }, details: { values: added.length } };
  },
  derive: (record, { latest }) =>
    latest === undefined || latest.timestamp < record.timestamp
      ? record
      : { ...record, current_value: latest.value, timestamp: latest.timestamp },
  series: {
    table: 'metricvalues',
    samplesOf: (entry) => (entry as z.infer<typeof storedValues>).values,
    samplesOfRecord: (record) => {
      const { historical_values: history, current_value: value, timestamp } = record as BusinessMetric;
      return [...history, { value, timestamp, context: {} }];
    },
  },
});

/** What is measured, with where it stands and where it should; its history is a series (REQ-DATA-003). */
export const metricType = defineRecord<BusinessMetric, z.output<typeof submittedMetric>>({
  recordType: 'metric',
  collection: 'metrics',
  table: 'metrics',
  idPrefix: 'met',
  idField: 'metric_id',
  schemaVersion: '1.0',
  migrations: [],
  schema: metric,
  createSchema: submittedMetric,
  create,
  orderedBy: 'timestamp',
  partition: { kind: 'member', member: 'metric_type' },
  // When the current value was is no column: a row has a Timestamp of its own.
  summary: ['name', 'metric_type', 'unit', 'current_value', 'target_value'],
  indexes: [{ name: 'name', fields: ['name'] }],
  immutable: ['metric_id', 'metric_type', 'timestamp', 'current_value', 'historical_values'],
  // A metric measures a business and not a person; its values and their context stay clear, and are summed in rows.
  sensitive: METADATA_SENSITIVE,
  subjects: { [EVERY_VALUE]: METADATA_SUBJECTS },
  links: METADATA_LINKS,
  tiers: { coolAfterDays: 30, archiveAfterDays: 365, currentStaysHot: true },
  retention: { years: 5, from: 'timestamp' },
  cache: { ttlMs: 5 * 60_000 },
  actions: {},
  parts: values,
  example: {
    name: 'Days sales outstanding',
    metric_type: 'duration',
    unit: 'days',
    current_value: 41.5,
    target_value: 35,
    historical_values: [{ value: 43, timestamp: '2026-01-01T00:00:00Z' }],
    metadata: { owner: 'finance' },
  },
});
