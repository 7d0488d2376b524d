import { describe, expect, it } from 'vitest';
import { sha256Hex } from '../../src/domain/canonical-json.js';
import { ifMatchHolds, revisionEtag } from '../../src/storage/etag.js';

const etag = revisionEtag(3, 'evt_1');

describe('the entity tag of a revision', () => {
  it('is strong, names the revision and follows from its event', () => {
    expect(etag).toBe(`"3-${sha256Hex('evt_1').slice(0, 24)}"`);
    expect(revisionEtag(3, 'evt_2')).not.toBe(etag);
    expect(revisionEtag(4, 'evt_1')).not.toBe(etag);
  });

  it.each([etag, '*', ` ${etag} `, `"other", ${etag}`, `${etag},"other"`, '"other" , *'])(
    'is matched by If-Match: %s',
    (header) => {
      expect(ifMatchHolds(header, etag)).toBe(true);
    },
  );

  it.each(['', '"other"', `W/${etag}`, etag.slice(1, -1), '"*"', `${etag}x`])(
    'is not matched by If-Match: %s',
    (header) => {
      expect(ifMatchHolds(header, etag)).toBe(false);
    },
  );
});
