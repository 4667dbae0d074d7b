/** A key and a certificate of its own for a test's TLS server, made by openssl. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface Certificate {
  readonly key: string;
  /** Signed by its own key: who trusts it trusts it by itself. */
  readonly cert: string;
}

/** Why there can be no certificate here, or false where there can. */
export async function whyNoCertificate(): Promise<string | false> {
  try {
    await run('openssl', ['version']);
    return false;
  } catch {
    return 'openssl is not installed';
  }
}

/** @param names as openssl writes them, `DNS:localhost` or `IP:127.0.0.1` */
export async function makeCertificate(names = ['DNS:localhost', 'IP:127.0.0.1', 'IP:::1']): Promise<Certificate> {
  const folder = await mkdtemp(join(tmpdir(), 'hypivisor-certificate-'));
  try {
    const [key, cert] = [join(folder, 'key.pem'), join(folder, 'cert.pem')];
    await run('openssl', [
      ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'],
      ...['-keyout', key, '-out', cert, '-subj', '/CN=test', '-addext', `subjectAltName=${names.join(',')}`],
    ]);
    return { key: await readFile(key, 'utf8'), cert: await readFile(cert, 'utf8') };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
