// What endpoints.json says, for the scripts of this folder. The server's CA is
// trusted through NODE_EXTRA_CA_CERTS, which the tests set.
import { readFileSync } from 'node:fs';

export const endpoints = JSON.parse(readFileSync(process.env.OPENAMS_ENDPOINTS, 'utf8'));
