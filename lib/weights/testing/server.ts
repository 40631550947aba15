import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { sha256 } from "./bundle";

/** What goes wrong with one answer. */
export interface Fault {
  readonly status?: number;
  /** The connection breaks after so many bytes of the body. */
  readonly cutAfter?: number;
  /** Nothing comes any more after so many bytes of the body. */
  readonly stallAfter?: number;
  /** Served in place of the file. */
  readonly data?: Uint8Array;
  readonly ignoreRange?: boolean;
  readonly etag?: string;
  /** Sends the body chunked, without its length, and ends it properly after so many bytes. */
  readonly chunkedUntil?: number;
}

export interface ServedRequest {
  readonly name: string;
  readonly query: string;
  readonly range: string | undefined;
  readonly ifRange: string | undefined;
}

/** An HTTP server of files, with ranges and strong ETags, whose answers can be made to fail. */
export class TestServer {
  readonly requests: ServedRequest[] = [];
  readonly #faults: { name: string; fault: Fault; times: number }[] = [];
  readonly #server = createServer((request, response) => this.#answer(request, response));

  constructor(readonly files: Map<string, Uint8Array>) {}

  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  /** Makes the next `times` answers for a file fail. */
  fail(name: string, fault: Fault, times = 1): void {
    this.#faults.push({ name, fault, times });
  }

  requestsFor(name: string): ServedRequest[] {
    return this.requests.filter((request) => request.name === name);
  }

  #takeFault(name: string): Fault {
    const found = this.#faults.find((candidate) => candidate.name === name && candidate.times > 0);
    if (!found) return {};
    found.times -= 1;
    return found.fault;
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? "/", "http://localhost");
    const name = url.pathname.slice(1);
    const { range, "if-range": ifRange } = request.headers;
    this.requests.push({ name, query: url.search, range, ifRange: ifRange as string | undefined });
    const fault = this.#takeFault(name);
    const data = fault.data ?? this.files.get(name);
    if (fault.status !== undefined || !data) {
      response.writeHead(fault.status ?? 404).end();
      return;
    }
    const etag = fault.etag ?? `"${sha256(data)}"`;
    const wanted = /^bytes=(\d+)-$/.exec(range ?? "")?.[1];
    const ranged = wanted !== undefined && !fault.ignoreRange && (ifRange === undefined || ifRange === etag);
    const begin = ranged ? Number(wanted) : 0;
    if (begin >= data.byteLength && ranged) {
      response.writeHead(416, { "Content-Range": `bytes */${data.byteLength}` }).end();
      return;
    }
    const body = Buffer.from(data.subarray(begin));
    const length = fault.chunkedUntil === undefined ? { "Content-Length": body.byteLength } : {};
    const place = ranged ? { "Content-Range": `bytes ${begin}-${data.byteLength - 1}/${data.byteLength}` } : {};
    response.writeHead(ranged ? 206 : 200, { ETag: etag, ...length, ...place });
    const sent = fault.chunkedUntil ?? fault.cutAfter ?? fault.stallAfter;
    if (sent === undefined) {
      response.end(body);
    } else if (fault.chunkedUntil !== undefined) {
      response.end(body.subarray(0, sent));
    } else {
      response.write(body.subarray(0, sent), () => {
        // The pause lets the bytes arrive before the connection breaks.
        if (fault.cutAfter !== undefined) setTimeout(() => response.destroy(), 20);
      });
    }
  }
}
