/**
 * One end of a WebSocket on a bare socket, with the daemon's own frame code. It must cost less than the measured
 * server.
 */
import { once } from 'node:events';
import net from 'node:net';
import { isControl } from '../../src/frame/check.ts';
import { encodeFrame } from '../../src/frame/encode.ts';
import type { FrameHeader } from '../../src/frame/header.ts';
import { FrameParser, type FrameSink } from '../../src/frame/parser.ts';
import { Opcode, type Side } from '../../src/frame/vocabulary.ts';
import {
  encodeUpgradeRequest,
  encodeUpgradeResponse,
  readUpgradeRequest,
  readUpgradeResponse,
} from '../../src/http/handshake.ts';
import { HeadAccumulator } from '../../src/http/head-accumulator.ts';
import { parseRequestHead, parseResponseHead } from '../../src/http/message.ts';
import { createKey } from '../../src/opening/key.ts';
import { BACK_PATH_PREFIX } from '../../src/protocol/registry.ts';

const HOST = '127.0.0.1';
const MAX_HEAD_BYTES = 16 * 1024;
const MAX_HEAD_FIELDS = 100;
const EMPTY_LINE = '\r\n';

/** The read buffer of all clients in the process. A chunk is only examined during the call. */
const readBuffer = Buffer.allocUnsafeSlow(64 * 1024);

/** Reads arriving frames. Data frames go to `sink`; pings are answered here. */
export interface Receiver {
  readonly sink: FrameSink;
  /** Gets all arriving bytes instead, unparsed. */
  readonly chunks?: { push(chunk: Buffer): void } | undefined;
  /** Called if the connection ended, or an arriving message was wrong; not after `leave`. */
  onFault(error: Error): void;
}

type Receive = (endpoint: Endpoint) => Receiver;

export class Endpoint implements FrameSink {
  readonly socket: net.Socket;
  readonly side: Side;
  readonly #receiver: Receiver;
  readonly #parser: FrameParser;
  #isControl = false;
  #controlOpcode: number = Opcode.PING;
  #control: Buffer[] = [];
  #left = false;

  private constructor(socket: net.Socket, side: Side, receive: Receive) {
    this.socket = socket;
    this.side = side;
    this.#parser = new FrameParser(side, this);
    this.#receiver = receive(this);
  }

  /**
   * Opens a connection.
   *
   * @param fromBrowser whether the request has an Origin, as browsers' requests do
   * @throws if the answer is not a correct 101
   */
  static open(port: number, path: string, receive: Receive, fromBrowser = false): Promise<Endpoint> {
    return new Promise((resolve, reject) => {
      const offer = { key: createKey(), subprotocols: [], extensions: null };
      const head = new HeadAccumulator(MAX_HEAD_BYTES, 'response');
      let endpoint: Endpoint | null = null;
      const onChunk = (chunk: Buffer) => {
        if (endpoint !== null) {
          endpoint.#receiveChunk(chunk);
          return;
        }
        try {
          const accumulated = head.push(chunk);
          if (accumulated === null) return;
          readUpgradeResponse(parseResponseHead(accumulated.head, MAX_HEAD_FIELDS), offer);
          const opened = new Endpoint(socket, 'client', receive);
          endpoint = opened;
          resolve(opened);
          opened.#receiveChunk(accumulated.rest);
        } catch (error) {
          reject(error);
          socket.destroy();
        }
      };
      const onread = {
        buffer: readBuffer,
        callback: (bytes: number) => {
          onChunk(readBuffer.subarray(0, bytes));
          return true;
        },
      };
      const socket: net.Socket = net.connect({ host: HOST, port, noDelay: true, onread });
      const request = encodeUpgradeRequest(HOST, port, offer, null, path);
      socket.write(fromBrowser ? withOrigin(request, `http://${HOST}:${port}`) : request);
      whenGone(socket, (error) => {
        reject(error);
        if (endpoint !== null) endpoint.#fault(error);
      });
    });
  }

  /** Serves WebSockets on a free port. */
  static async serve(receive: Receive): Promise<net.Server> {
    const server = net.createServer({ noDelay: true }, (socket) => {
      const head = new HeadAccumulator(MAX_HEAD_BYTES, 'request');
      let endpoint: Endpoint | null = null;
      socket.on('data', (chunk) => {
        if (endpoint !== null) {
          endpoint.#receiveChunk(chunk);
          return;
        }
        const accumulated = head.push(chunk);
        if (accumulated === null) return;
        const { key } = readUpgradeRequest(parseRequestHead(accumulated.head, MAX_HEAD_FIELDS));
        socket.write(encodeUpgradeResponse(key, null, null));
        endpoint = new Endpoint(socket, 'server', receive);
        endpoint.#receiveChunk(accumulated.rest);
      });
      whenGone(socket, (error) => {
        if (endpoint !== null) endpoint.#fault(error);
      });
    });
    server.listen({ port: 0, host: HOST, backlog: 4096 });
    await once(server, 'listening');
    return server;
  }

  /** Bytes of whole frames, as `encodeWrites` makes them. @param onTaken called once the kernel has taken them all */
  write(bytes: Buffer, onTaken?: () => void): void {
    this.socket.write(bytes, onTaken);
  }

  /** Ends the connection without a close frame. */
  leave(): void {
    this.#left = true;
    this.socket.destroy();
  }

  onHeader(header: FrameHeader): void {
    this.#isControl = isControl(header.opcode);
    this.#controlOpcode = header.opcode;
    if (!this.#isControl) this.#receiver.sink.onHeader(header);
  }

  onPayload(chunk: Buffer, start: number, end: number, last: boolean): void {
    if (!this.#isControl) {
      this.#receiver.sink.onPayload(chunk, start, end, last);
      return;
    }
    this.#control.push(Buffer.from(chunk.subarray(start, end)));
    if (!last) return;
    const payload = Buffer.concat(this.#control);
    this.#control = [];
    if (this.#controlOpcode === Opcode.PING) this.write(encodeFrame(this.side, Opcode.PONG, payload));
    if (this.#controlOpcode === Opcode.CLOSE) throw new Error(`closed: ${payload.toString('latin1', 2)}`);
  }

  #receiveChunk(chunk: Buffer): void {
    try {
      (this.#receiver.chunks ?? this.#parser).push(chunk);
    } catch (error) {
      this.#fault(error as Error);
    }
  }

  #fault(error: Error): void {
    if (this.#left) return;
    this.leave();
    this.#receiver.onFault(error);
  }
}

/** Opens a connection that the daemon has asked for. @param onOpen given it once the daemon is the client on it */
export function openBack(port: number, ticket: string, onOpen: (socket: net.Socket) => void): void {
  const socket = net.connect({ host: HOST, port, noDelay: true });
  const upgrade = { key: createKey(), subprotocols: [], extensions: null };
  const head = new HeadAccumulator(MAX_HEAD_BYTES, 'response');
  const onData = (chunk: Buffer) => {
    const accumulated = head.push(chunk);
    if (accumulated === null) return;
    readUpgradeResponse(parseResponseHead(accumulated.head, MAX_HEAD_FIELDS), upgrade);
    socket.off('data', onData).pause();
    if (accumulated.rest.length > 0) socket.unshift(Buffer.from(accumulated.rest));
    onOpen(socket);
    socket.resume();
  };
  socket.on('data', onData);
  // A spare ends with the measurement.
  socket.on('error', () => {});
  socket.write(encodeUpgradeRequest(HOST, port, upgrade, null, `${BACK_PATH_PREFIX}${ticket}`));
}

function whenGone(socket: net.Socket, onGone: (error: Error) => void): void {
  let reason: Error = new Error('the other side ended the connection');
  socket.on('error', (error) => {
    reason = error;
  });
  socket.on('close', () => onGone(reason));
}

function withOrigin(request: Buffer, origin: string): Buffer {
  return Buffer.concat([request.subarray(0, -EMPTY_LINE.length), Buffer.from(`Origin: ${origin}\r\n${EMPTY_LINE}`)]);
}
