/** `business-records/verifier`: checks proofs offline, in Node and in browsers, and needs nothing of the platform. */
export { verifyAnchor } from './anchor.js';
export { verifyRecordProof } from './record-proof.js';
export { verifyEventProof } from './event-proof.js';
export type { AnchorFacts, AnchorOptions } from './anchor.js';
export type { VerifyOptions } from './event-proof.js';
export type { Check, CheckName, CheckOutcome, ProofReport, ProvenFacts, Report, Verdict } from './report.js';
