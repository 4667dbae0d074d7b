/** nginx and HAProxy before an agent: their configurations, and how they are started. */
import { type ChildProcess, execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { eventually } from '../../test/support/measure.ts';
import { RawPeer } from '../../test/support/raw-peer.ts';
import { spawnProcess } from '../processes.ts';
import { freePort } from './free-port.ts';

export interface ProxyProgram {
  readonly command: string;
  /** Before the configuration's path. */
  readonly args: readonly string[];
  /** @param folder the proxy's own folder, for its files */
  configure(port: number, agentPort: number, folder: string): string;
}

/**
 * nginx's own defaults, but for its address, one process, no access log, and room for all relays: it closes
 * connections before their first request once it has less than a sixteenth left.
 */
function nginxWith(directives: string): ProxyProgram {
  return {
    command: 'nginx',
    args: ['-c'],
    configure: (port, agentPort, folder) => `
daemon off; master_process off; pid ${folder}/pid; error_log ${folder}/error.log;
events { worker_connections 40000; }
http {
  access_log off;
  client_body_temp_path ${folder}/body; proxy_temp_path ${folder}/proxy; fastcgi_temp_path ${folder}/fastcgi;
  uwsgi_temp_path ${folder}/uwsgi; scgi_temp_path ${folder}/scgi;
  ${directives}
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / {
      proxy_pass http://127.0.0.1:${agentPort};
      proxy_http_version 1.1;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection "Upgrade";
    }
  }
}`,
  };
}

/** The timeouts of Debian's haproxy.cfg; HAProxy itself has none. One thread, as the others. */
function haproxyWith(directives: string): ProxyProgram {
  return {
    command: 'haproxy',
    args: ['-db', '-f'],
    configure: (port, agentPort) => `
global
  nbthread 1
defaults
  mode http
  timeout connect 5000
  timeout client 50000
  timeout server 50000
  ${directives}
listen all
  bind 127.0.0.1:${port} backlog 4096
  server agent 127.0.0.1:${agentPort}
`,
  };
}

export const nginx = nginxWith('');
export const haproxy = haproxyWith('');

/** As relays. By default they end a silent connection after a minute, even if it is measured at rest. */
const SILENT_FOR_AN_HOUR = 'proxy_read_timeout 1h; proxy_send_timeout 1h;';
export const nginxRelaying = nginxWith(SILENT_FOR_AN_HOUR);
export const haproxyRelaying = haproxyWith('timeout tunnel 1h');

/** After an upgrade each direction has one buffer of `proxy_buffer_size`; the others must be no smaller. */
export const nginx128KiBRelaying = nginxWith(`${SILENT_FOR_AN_HOUR} proxy_buffer_size 128k; proxy_buffers 8 128k;`);

export interface RunningProxy {
  readonly child: ChildProcess;
  readonly port: number;
  /** To be removed when it has ended. */
  readonly folder: string;
}

/** @returns once it accepts connections */
export async function startProxy({ command, args, configure }: ProxyProgram, agentPort: number): Promise<RunningProxy> {
  const folder = await mkdtemp(join(tmpdir(), 'hypivisor-proxy-'));
  const port = await freePort();
  const file = join(folder, 'configuration');
  await writeFile(file, configure(port, agentPort, folder));
  const child = spawnProcess(command, [...args, file], { stdio: 'ignore' });
  try {
    await eventually(async () => {
      (await RawPeer.connect(port)).socket.destroy();
    });
  } catch (error) {
    child.kill('SIGKILL');
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
  return { child, port, folder };
}

/** @returns null if it is not installed */
export async function proxyVersion({ command }: ProxyProgram): Promise<string | null> {
  try {
    const { stdout, stderr } = await promisify(execFile)(command, ['-v']);
    return /\d+\.\d+\.\d+/.exec(stdout + stderr)?.[0] ?? 'unknown';
  } catch {
    return null;
  }
}
