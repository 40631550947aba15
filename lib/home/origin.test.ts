import { describe, expect, it } from "vitest";
import { refusalOf } from "./origin";

const request = (headers: Record<string, string>) => new Request("http://localhost:3000/api", { method: "POST", headers });

describe("refusalOf", () => {
  it("accepts the page's own requests and tools without an Origin", () => {
    expect(refusalOf(request({ host: "localhost:3000", origin: "http://localhost:3000", "sec-fetch-site": "same-origin" }))).toBeNull();
    expect(refusalOf(request({ host: "127.0.0.1:3000" }))).toBeNull();
    expect(refusalOf(request({ host: "[::1]:3000" }))).toBeNull();
  });

  it.each([
    { host: "localhost:3000", origin: "http://example.com" },
    { host: "localhost:3000", origin: "http://localhost:4000" },
    { host: "localhost:3000", origin: "null" },
    { host: "localhost:3000", "sec-fetch-site": "cross-site" },
    { host: "evil.example:3000", origin: "http://evil.example:3000" },
    {},
  ])("refuses %o", (headers) => {
    expect(refusalOf(request(headers as Record<string, string>))).toMatch(/\.$/);
  });
});
