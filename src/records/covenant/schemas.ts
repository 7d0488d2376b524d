import { z } from 'zod';
import { dottedVersion } from '../../domain/dotted-version.js';
import { LIMITS } from '../../domain/limits.js';
import {
  confidence,
  dictionary,
  label,
  recordId,
  sha256,
  text,
  time,
  title,
} from '../../domain/schema-parts.js';

/** REQ-DATA-005. */
const STATUSES = ['draft', 'active', 'amended', 'superseded', 'revoked'] as const;
const VERIFICATION = ['unverified', 'pending', 'verified', 'expired', 'failed', 'revoked'] as const;
export const IN_FORCE: readonly string[] = ['active', 'amended'];
export const STANDING: readonly string[] = ['draft', ...IN_FORCE];

const texts = () => z.array(text()).max(LIMITS.listItems).default([]);
const count = z.int().min(0).max(1_000_000_000);
/** A share or a number of votes or members, or a rule in words: `0.66`, `5`, `two thirds of the board`. */
const threshold = z.union([z.number().min(0).max(1_000_000), label()]);

/** `OrganizationInfo`: who binds itself. The person to ask is a person: name and addresses are sensitive. */
const organizationInfo = z.strictObject({
  name: label(),
  legal_name: label().optional(),
  organization_id: label().optional(),
  registration_id: label().optional(),
  jurisdiction: label().optional(),
  country: label().optional(),
  address: title().optional(),
  industry: label().optional(),
  type: label().optional(),
  employee_count: count.optional(),
  website: title().optional(),
  domain: label().optional(),
  description: text().optional(),
  contact: z
    .strictObject({
      name: label().optional(),
      role: label().optional(),
      email: label().optional(),
      phone: label().optional(),
    })
    .optional(),
  metadata: dictionary().default({}),
});

/** `Principle`: what the organization holds to, and what it takes upon itself for it. */
const principle = z
  .strictObject({
    principle_id: label().optional(),
    name: label().optional(),
    title: title().optional(),
    statement: text().optional(),
    description: text().optional(),
    category: label().optional(),
    rationale: text().optional(),
    commitments: texts(),
    indicators: texts(),
    mandatory: z.boolean().optional(),
    weight: confidence().optional(),
    metadata: dictionary().default({}),
  })
  .refine(({ name, title: heading, statement, description }) => [name, heading, statement, description].some((said) => said !== undefined), { path: ['name'], error: 'must be there, or a title, statement or description' }); // prettier-ignore

const role = z.strictObject({
  role: label(),
  holder: label().optional(),
  description: text().optional(),
  responsibilities: texts(),
});

/** `GovernanceModel`: who decides, how, by how many, and how the covenant itself is changed and kept under review. */
const governanceModel = z.strictObject({
  model: label().optional(),
  type: label().optional(),
  structure: text().optional(),
  description: text().optional(),
  decision_making: text().optional(),
  voting_method: label().optional(),
  quorum: threshold.optional(),
  approval_threshold: threshold.optional(),
  amendment_process: text().optional(),
  amendment_threshold: threshold.optional(),
  roles: z.array(z.union([label().transform((named) => ({ role: named, responsibilities: [] })), role])).max(LIMITS.listItems).default([]), // prettier-ignore
  bodies: z.array(label()).max(LIMITS.listItems).default([]),
  review_cadence: label().optional(),
  last_reviewed_at: time().optional(),
  next_review_at: time().optional(),
  escalation: text().optional(),
  dispute_resolution: text().optional(),
  metadata: dictionary().default({}),
});

/** `VerificationInfo`: who has looked whether the organization is who it says it is and does what it says, and how. */
const verificationInfo = z.strictObject({
  status: z.enum(VERIFICATION).default('unverified'),
  method: label().optional(),
  verified_by: label().optional(),
  verified_at: time().optional(),
  expires_at: time().optional(),
  level: label().optional(),
  evidence: texts(),
  proof: text().optional(),
  notes: text().optional(),
  metadata: dictionary().default({}),
});
const UNVERIFIED = { status: 'unverified', evidence: [], metadata: {} } as const;

const recognitionShape = { peer: label(), scope: text().optional(), signature: text().optional() };
/** `PeerRecognition`: another organization stands by a version of the covenant; one standing recognition for each. */
const peerRecognition = z.strictObject({ ...recognitionShape, recognized_at: time(), covenant_version: dottedVersion() }); // prettier-ignore
export const submittedRecognition = z.strictObject({ ...recognitionShape, recognized_at: time().optional() });

const amendmentShape = {
  title: title(),
  description: text().refine((value) => value.trim() !== '', 'must not be blank'),
  proposed_by: label(),
  changes: z.union([dictionary(), z.array(z.unknown()).max(LIMITS.listItems)]).default({}),
};
/** `CovenantAmendment`: an entry of the ledger (`domain/hash-chain.ts`). */
const covenantAmendment = z.strictObject({
  ...amendmentShape,
  sequence: z.int().min(1),
  covenant_version: dottedVersion(),
  effective_at: time(),
  recorded_at: time(),
  previous_hash: sha256(),
  hash: sha256(),
});
export const submittedAmendment = z.strictObject({ ...amendmentShape, effective_at: time().optional() });

/** What has become of each version; `revision` is the one that began it, as which it can be read. */
const versionEntry = z.strictObject({
  version: dottedVersion(),
  status: z.enum(STATUSES),
  revision: z.int().min(1),
  created_at: time(),
  ended_at: time().optional(),
});

export const submittedEnding = z.strictObject({ reason: title() });
export const submittedSupersession = submittedEnding.extend({
  by: recordId().refine((id) => id.startsWith('cov_'), 'must be the id of a covenant').optional(), // prettier-ignore
});

/** What a version says; everything else is said of it. */
const content = {
  organization: organizationInfo,
  compliance_standard: label(),
  principles: z.array(principle).min(1).max(LIMITS.listItems),
  governance: governanceModel,
  verification: verificationInfo.default({ ...UNVERIFIED, evidence: [] }),
};
export const covenant = z.strictObject({
  covenant_id: recordId(),
  version: dottedVersion(),
  schema_version: label(),
  ...content,
  peer_recognitions: z.array(peerRecognition).max(LIMITS.listItems),
  amendments: z.array(covenantAmendment).max(LIMITS.listItems),
  /** Hash of the last amendment, so that a ledger cut short is noticed. */
  ledger_head: sha256(),
  status: z.enum(STATUSES),
  in_force_version: dottedVersion().optional(),
  version_history: z.array(versionEntry).min(1).max(LIMITS.listItems),
  ending: z.strictObject({ reason: title(), superseded_by: recordId().optional(), ended_at: time() }).optional(), // prettier-ignore
  created_at: time(),
  updated_at: time(),
});
export const submittedCovenant = z.strictObject({
  ...content,
  version: dottedVersion().default('1.0'),
  schema_version: label().default('1.0'),
  status: z.enum(STATUSES).default('draft'),
  created_at: time().optional(),
});
export const submittedVersion = z.strictObject({
  ...content,
  version: dottedVersion(),
  schema_version: label().optional(),
  status: z.enum(['draft', 'active']).default('active'),
});

export type Covenant = z.infer<typeof covenant>;
export type CovenantInput = z.input<typeof submittedCovenant>;
export type CovenantVersionInput = z.input<typeof submittedVersion>;
export type CovenantAmendment = z.infer<typeof covenantAmendment>;
export type CovenantAmendmentInput = z.input<typeof submittedAmendment>;
export type PeerRecognition = z.infer<typeof peerRecognition>;
export type PeerRecognitionInput = z.input<typeof submittedRecognition>;

/** The amendments of a covenant, and whether they are what was chained there. */
export interface CovenantLedger {
  readonly covenant_id: string;
  readonly entries: readonly CovenantAmendment[];
  /** Hash of the last entry; 64 zeros when there is none. */
  readonly head: string;
  readonly verified: boolean;
  /** Sequence number of the first entry that does not hold. */
  readonly broken_at?: number;
}
