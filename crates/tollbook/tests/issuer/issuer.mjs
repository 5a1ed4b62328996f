// An OpenID Connect issuer for the end-to-end tests: the package oidc-provider, whose tokens and documents are its own.
//
//   node issuer.mjs keys KID=ALG...    prints a new private JWK Set
//   node issuer.mjs serve FILE PORT    runs the issuer that FILE describes; prints one line per request that it gets
//   node issuer.mjs sign FILE          reads JSON lines { header, claims, key } and prints a token for each, signed with
//                                      FILE's key of that kid; "none": without a signature; "public KID": with a MAC
//                                      whose secret is the text of the public key
//
// FILE: { "keys": a private JWK Set, "alg": of access tokens, "audiences": { resource: audience },
//         "clients": { id: claims of its access tokens } }. A client's secret is its id.
//
// Nothing here judges a token: that is what is tested.

import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { CompactSign, exportJWK, exportSPKI, generateKeyPair, importJWK } from 'jose';

const [command, ...rest] = process.argv.slice(2);
await { keys, serve, sign }[command](...rest);

async function keys(...wanted) {
  const made = wanted.map(async (word) => {
    const [kid, alg] = word.split('=');
    const { privateKey } = await generateKeyPair(alg, { extractable: true });
    return { ...(await exportJWK(privateKey)), kid, alg, use: 'sig' };
  });
  console.log(JSON.stringify({ keys: await Promise.all(made) }));
}

async function serve(file, port) {
  const { Provider } = await import('oidc-provider');
  const described = JSON.parse(readFileSync(file));
  const provider = new Provider(`http://127.0.0.1:${port}`, {
    jwks: described.keys,
    clients: Object.keys(described.clients).map((id) => ({
      client_id: id,
      client_secret: id,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    })),
    clientDefaults: { id_token_signed_response_alg: described.alg },
    cookies: { keys: ['for tests'] },
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (_, resource) => ({
          scope: '',
          audience: described.audiences[resource],
          accessTokenFormat: 'jwt',
          accessTokenTTL: 300,
          jwt: { sign: { alg: described.alg } },
        }),
      },
    },
    extraTokenClaims: (_, token) => described.clients[token.clientId],
  });
  provider.on('server_error', (_, error) => console.error(error));
  const answer = provider.callback();
  const server = createServer((request, response) => {
    console.log(`${request.method} ${request.url}`);
    answer(request, response);
  });
  server.listen(Number(port), '127.0.0.1', () => console.log('ready'));
}

async function sign(file) {
  const described = JSON.parse(readFileSync(file));
  for (const line of readFileSync(0, 'utf8').split('\n').filter(Boolean)) {
    const { header, claims, key } = JSON.parse(line);
    console.log(await signed(described.keys.keys, key, header, JSON.stringify(claims)));
  }
}

async function signed(jwks, key, header, claims) {
  if (key === 'none') {
    const part = (text) => Buffer.from(text).toString('base64url');
    return `${part(JSON.stringify(header))}.${part(claims)}.`;
  }
  const [kid, isPublic] = key.startsWith('public ') ? [key.slice('public '.length), true] : [key, false];
  const jwk = jwks.find((known) => known.kid === kid);
  const { d, p, q, dp, dq, qi, ...open } = jwk;
  const secret = isPublic
    ? Buffer.from(await exportSPKI(await importJWK(open, jwk.alg)))
    : await importJWK(jwk, header.alg);
  return new CompactSign(Buffer.from(claims)).setProtectedHeader(header).sign(secret);
}
