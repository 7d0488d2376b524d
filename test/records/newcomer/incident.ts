import { z } from 'zod';
import { formatTime } from '../../../src/domain/clock.js';
import { defineAction, defineRecord } from '../../../src/domain/define-record.js';
import { label, recordId, text, time, title } from '../../../src/domain/schema-parts.js';

const shape = {
  title: title(),
  severity: z.enum(['low', 'high']),
  status: z.enum(['open', 'closed']).default('open'),
  reported_by: label(),
  findings: z.array(text()).max(100).default([]),
};
/** As it is stored. */
const incident = z.strictObject({ ...shape, incident_id: recordId(), occurred_at: time() });
/** As it is posted. */
const submitted = z.strictObject({ ...shape, occurred_at: time().optional() });
const finding = z.strictObject({ finding: text() });

type Incident = z.infer<typeof incident>;

export const incidentType = defineRecord<Incident, z.output<typeof submitted>>({
  recordType: 'incident',
  collection: 'incidents',
  table: 'incidents',
  idPrefix: 'inc',
  idField: 'incident_id',
  schemaVersion: '1.0',
  migrations: [],
  schema: incident,
  createSchema: submitted,
  create: (input, context) => ({
    ...input,
    incident_id: context.id,
    occurred_at: input.occurred_at ?? formatTime(context.nowMs),
  }),
  orderedBy: 'occurred_at',
  partition: { kind: 'month-of-creation' },
  summary: ['title', 'severity', 'status'],
  indexes: [
    { name: 'status', fields: ['status'] },
    { name: 'status.severity', fields: ['status', 'severity'] },
    { name: 'reported_by', fields: ['reported_by'] },
  ],
  immutable: ['incident_id', 'occurred_at', 'reported_by', 'findings'],
  transitions: { field: 'status', moves: { open: ['closed'], closed: [] }, mutableWhenFinal: [] },
  sensitive: { '/reported_by': 'pii', '/findings/*': 'pii' },
  subjects: { '/reported_by': ['/reported_by'], '/findings/*': ['/reported_by'] },
  tiers: { coolAfterDays: 30 },
  retention: { years: 3, from: 'occurred_at' },
  actions: {
    findings: defineAction<Incident, z.output<typeof finding>>({
      verb: 'finding',
      input: finding,
      example: { finding: 'The cable was loose.' },
      apply: (current, input) => ({ ...current, findings: [...current.findings, input.finding] }),
    }),
  },
  example: { title: 'No light in hall 2', severity: 'low', reported_by: 'Jan Smit' },
});
