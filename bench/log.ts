import { measureRounds, measureSealing } from './log-load.js';
import { measureProofs } from './log-proofs.js';
import { measureRates } from './log-rates.js';
import type { LogResult } from './log-report.js';
import type { BenchTools } from './tools.js';

/** The verifiable log: beside SHA-256 alone, its proofs, and what sealing costs and takes. */
export async function measureLog(tools: BenchTools): Promise<LogResult> {
  const { quick, progress } = tools;
  const load = await measureSealing(tools);
  progress('log: calls of a round');
  const rounds = await measureRounds(quick);
  progress('log: integrating and verifying');
  const rates = await measureRates(quick);
  progress('log: proofs');
  const proofs = await measureProofs(quick);
  return { rates, proofs, rounds, load };
}
