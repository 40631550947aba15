import { createServer, request as send, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, expect, it, vi } from "vitest";
import { markRequests, readPeer, type Peer } from "./peer";

let server: Server | null = null;
afterEach(() => {
  vi.unstubAllEnvs();
  server?.close();
});

/** What a server in this process learns of a request with these headers. */
async function seen(host: string, headers: Record<string, string>): Promise<{ peer: Peer | null; headers: Record<string, unknown> }> {
  markRequests();
  return new Promise((resolve, reject) => {
    server = createServer((incoming, outgoing) => {
      outgoing.end();
      resolve({ peer: readPeer(new Headers(incoming.headers as Record<string, string>)), headers: incoming.headers });
    });
    server.listen(0, host, () => {
      const { port } = server?.address() as AddressInfo;
      send({ host: "127.0.0.1", port, headers }, (answer) => answer.resume()).on("error", reject).end();
    });
  });
}

const claims = { "x-forwarded-for": "1.2.3.4, 5.6.7.8", "x-forwarded-proto": "https", forwarded: "for=1.2.3.4", "x-real-ip": "1.2.3.4", "x-mambascope-peer": '0 {"address":"1.2.3.4","listening":"127.0.0.1","https":true}' };

it("believes the socket and not the headers", async () => {
  const { peer, headers } = await seen("0.0.0.0", claims);
  expect(peer).toEqual({ address: "127.0.0.1", listening: "0.0.0.0", https: false });
  for (const name of ["x-forwarded-for", "x-forwarded-proto", "forwarded", "x-real-ip"]) expect(headers).not.toHaveProperty(name);
});

it("believes a trusted reverse proxy, and of its addresses the last", async () => {
  vi.stubEnv("MAMBASCOPE_TRUST_PROXY", "1");
  expect((await seen("127.0.0.1", claims)).peer).toEqual({ address: "5.6.7.8", listening: "127.0.0.1", https: true });
});

it("knows nobody by a header alone", () => {
  markRequests();
  expect(readPeer(new Headers({ "x-mambascope-peer": claims["x-mambascope-peer"] }))).toBeNull();
  expect(readPeer(new Headers())).toBeNull();
});
