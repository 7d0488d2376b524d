/**
 * A sign-in service for trying AUTH_MODE=entra on one machine (docs/sign-in.md): publishes its configuration and a key as
 * Microsoft Entra ID does, on the loopback interface, and prints settings and a token for an hour. Roles are the
 * arguments; PORT is 7072 unless it is set.
 */
import { createServer } from 'node:http';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';

const TID = '11111111-1111-4111-8111-111111111111';
const CLIENT = 'cccccccc-cccc-4ccc-8ccc-cccccccccccc';
const PERSON = 'dddddddd-dddd-4ddd-8ddd-dddddddddddd';
const AUDIENCE = 'api://business-records';
const KID = 'local';

const port = Number(process.env['PORT'] ?? 7072);
const authority = `http://127.0.0.1:${port}`;
const issuer = `${authority}/${TID}/v2.0`;
const { privateKey, publicKey } = await generateKeyPair('RS256');
const documents = {
  [`/${TID}/v2.0/.well-known/openid-configuration`]: { issuer, jwks_uri: `${authority}/${TID}/keys` },
  [`/${TID}/keys`]: { keys: [{ ...(await exportJWK(publicKey)), kid: KID, use: 'sig' }] },
};

createServer((request, response) => {
  const document = documents[request.url ?? ''];
  response.writeHead(document === undefined ? 404 : 200, { 'content-type': 'application/json' });
  response.end(JSON.stringify(document ?? {}));
}).listen(port, '127.0.0.1');

const roles = process.argv.slice(2);
const token = await new SignJWT({ tid: TID, azp: CLIENT, oid: PERSON, scp: 'access', roles })
  .setProtectedHeader({ alg: 'RS256', kid: KID, typ: 'JWT' })
  .setIssuer(issuer)
  .setAudience(AUDIENCE)
  .setIssuedAt()
  .setNotBefore('0s')
  .setExpirationTime('1h')
  .sign(privateKey);

const settings = { AUTH_MODE: 'entra', ENTRA_AUTHORITY: authority, ENTRA_AUDIENCE: AUDIENCE, ENTRA_TENANTS: `${TID}=acme` }; // prettier-ignore
for (const [name, value] of Object.entries({ ...settings, TOKEN: token }))
  console.log(`export ${name}='${value}'`);
