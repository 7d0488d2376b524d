import { describe, expect, it } from 'vitest';
import { networkAddress } from '../../src/http/network-address.js';

describe('the address that requests are counted by', () => {
  it.each([
    ['10.1.2.3', '10.1.2.3'],
    ['10.1.2.3:51234', '10.1.2.3'],
    ['6.6.6.6, 10.1.2.3:51234', '10.1.2.3'],
    ['::ffff:10.1.2.3', '10.1.2.3'],
    ['::1', '0:0:0:0::/64'],
    ['2001:db8:0:7:1:2:3:4', '2001:db8:0:7::/64'],
    ['2001:DB8::7:0:0:9', '2001:db8:0:0::/64'],
    ['[2001:db8:a:b:c::1]:443', '2001:db8:a:b::/64'],
    ['[2001:db8:a:b::]', '2001:db8:a:b::/64'],
    ['2001:0db8:000a:0b00::', '2001:db8:a:b00::/64'],
    ['64:ff9b::10.1.2.3', '64:ff9b:0:0::/64'],
    ['', 'unknown'],
    [null, 'unknown'],
    ['somebody', 'somebody'],
    ['x'.repeat(5000), 'x'.repeat(256)],
  ])('of %j is %s', (header, address) => {
    expect(networkAddress(header)).toBe(address);
  });
});
