/** An HTTP proxy on loopback: forwards plain requests, opens tunnels. Every name leads to the same server. */
import { createServer, request } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';

export interface HttpProxy extends AsyncDisposable {
  readonly host: string;
  /** `GET http://registry.test/v2/`, `CONNECT registry.test:443`. */
  readonly requests: string[];
  readonly authorizations: (string | undefined)[];
}

/** @param port where every name leads to, on loopback */
export async function startHttpProxy(port: number, password?: string): Promise<HttpProxy> {
  const requests: string[] = [];
  const authorizations: (string | undefined)[] = [];
  const sockets = new Set<Socket>();
  const isWelcome = (header: string | undefined): boolean => {
    authorizations.push(header);
    return password === undefined || header === `Basic ${Buffer.from(password).toString('base64')}`;
  };
  const server = createServer((incoming, response) => {
    requests.push(`${incoming.method} ${incoming.url}`);
    if (!isWelcome(incoming.headers['proxy-authorization'])) return void response.writeHead(407).end();
    const { pathname, search } = new URL(incoming.url ?? '');
    const { 'proxy-authorization': _own, ...headers } = incoming.headers;
    const outgoing = request({
      host: '127.0.0.1',
      port,
      path: `${pathname}${search}`,
      method: incoming.method,
      headers,
      agent: false,
    });
    outgoing.on('response', (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    outgoing.on('error', () => response.destroy());
    incoming.pipe(outgoing);
  });
  server.on('connect', (incoming, socket) => {
    requests.push(`CONNECT ${incoming.url}`);
    if (!isWelcome(incoming.headers['proxy-authorization']))
      return void socket.end('HTTP/1.1 407 No\r\ncontent-length: 0\r\n\r\n');
    const tunnel = connect(port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n');
      tunnel.pipe(socket).pipe(tunnel);
    });
    socket.on('error', () => tunnel.destroy());
    tunnel.on('error', () => socket.destroy());
  });
  server.on('connection', (socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    host: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    authorizations,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
