import { describe, expect, it } from 'vitest';
import { decodeRow } from '../../src/azure/table-row.js';
import { errorCode, rootOf } from '../../src/azure/wire.js';

/** What we read off the wire ourselves; that it is what the services send, the contracts of the ports show. */
describe('azure wire', () => {
  const sent = {
    'odata.etag': 'W/"1"',
    PartitionKey: 'p',
    RowKey: 'r',
    Timestamp: '2026-11-21T08:00:00.1234567Z',
  };

  it('takes a row apart, and leaves out types that the platform never writes', () => {
    const row = decodeRow({
      ...sent,
      'odata.metadata': 'x',
      text: 'a',
      flag: false,
      small: 7,
      'large@odata.type': 'Edm.Int64',
      large: '9007199254740992',
      share: 0.5,
      'share@odata.type': 'Edm.Double',
      when: '2026-11-21T08:00:00Z',
      'when@odata.type': 'Edm.DateTime',
      bytes: 'AAAA',
      'bytes@odata.type': 'Edm.Binary',
      nothing: null,
    });
    expect(row).toEqual({
      partitionKey: 'p',
      rowKey: 'r',
      etag: 'W/"1"',
      timestampMs: Date.parse('2026-11-21T08:00:00.123Z'),
      properties: { text: 'a', flag: false, small: 7, large: 2 ** 53, share: 0.5 },
    });
  });

  it.each(['odata.etag', 'PartitionKey', 'RowKey', 'Timestamp'])('takes no row without its %s', (member) => {
    expect(() => decodeRow({ ...sent, [member]: undefined })).toThrow('a row came without');
  });

  it('finds the code of an error in JSON and in XML', () => {
    expect(errorCode('{"odata.error":{"code":"EntityNotFound","message":{}}}')).toBe('EntityNotFound');
    expect(errorCode('<?xml version="1.0"?>\n<Error><Code>BlobNotFound</Code></Error>')).toBe('BlobNotFound');
    expect(errorCode('<html>no</html>')).toBeUndefined();
  });

  it('knows the endpoint without a slash or a SAS', () => {
    expect(rootOf('https://a.table.core.windows.net/?sv=1&sig=2')).toBe('https://a.table.core.windows.net');
    expect(rootOf('http://127.0.0.1:10002/a')).toBe('http://127.0.0.1:10002/a');
  });
});
