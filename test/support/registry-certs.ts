/** Certificates for servers on loopback and for their clients, made by openssl. */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

export interface KeyPair {
  /** PEM. */
  readonly cert: string;
  readonly key: string;
  readonly certFile: string;
  readonly keyFile: string;
}

export interface TestCertificates {
  readonly authority: KeyPair;
  /** For 127.0.0.1, localhost and registry.test. */
  readonly server: KeyPair;
  readonly client: KeyPair;
}

export function makeCertificates(dir: string): TestCertificates {
  openssl(
    dir,
    'req',
    '-x509',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-days',
    '2',
    '-subj',
    '/CN=test authority',
    ...files('authority'),
  );
  return {
    authority: read(dir, 'authority'),
    server: issue(dir, 'server', 'subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:registry.test'),
    client: issue(dir, 'client', 'extendedKeyUsage=clientAuth'),
  };
}

function issue(dir: string, name: string, extension: string): KeyPair {
  writeFileSync(join(dir, `${name}.ext`), extension);
  openssl(
    dir,
    'req',
    '-newkey',
    'rsa:2048',
    '-nodes',
    '-subj',
    `/CN=${name}`,
    '-keyout',
    `${name}.key`,
    '-out',
    `${name}.csr`,
  );
  const signing = [
    '-CA',
    'authority.crt',
    '-CAkey',
    'authority.key',
    '-CAcreateserial',
    '-days',
    '2',
    '-extfile',
    `${name}.ext`,
  ];
  openssl(dir, 'x509', '-req', '-in', `${name}.csr`, '-out', `${name}.crt`, ...signing);
  return read(dir, name);
}

function files(name: string): string[] {
  return ['-keyout', `${name}.key`, '-out', `${name}.crt`];
}

function openssl(dir: string, ...args: string[]): void {
  execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' });
}

function read(dir: string, name: string): KeyPair {
  const [certFile, keyFile] = [join(dir, `${name}.crt`), join(dir, `${name}.key`)];
  return { cert: readFileSync(certFile, 'utf8'), key: readFileSync(keyFile, 'utf8'), certFile, keyFile };
}
