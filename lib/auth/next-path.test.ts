import fc from "fast-check";
import { expect, it } from "vitest";
import { safeNext } from "./next-path";

const tricks = fc.stringMatching(/^[\/\\.a-z@:?#%\t\n ]{0,24}$/);

it("never leads to another server, whatever is asked", () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), tricks, tricks.map((text) => `/${text}`), fc.webUrl(), fc.webUrl().map((url) => `/${url}`), fc.webUrl().map((url) => url.slice(5))), (next) => {
      const path = safeNext(next);
      expect(path.startsWith("/")).toBe(true);
      const url = new URL(path, "http://localhost:3000/login");
      expect(url.origin).toBe("http://localhost:3000");
      expect(url.pathname).not.toMatch(/^\/login(\/|$)/);
    }),
    { numRuns: 2000 },
  );
});

it.each([
  ["/explore?family=stories&layers=a.m#x", "/explore?family=stories&layers=a.m#x"],
  ["/", "/"],
  ["//evil.example/x", "/"],
  ["/\\evil.example", "/"],
  ["/\t/evil.example", "/"],
  ["https://evil.example", "/"],
  ["javascript:alert(1)", "/"],
  ["/login?next=/login", "/"],
  ["/x/..//evil.example", "/"],
  [null, "/"],
])("safeNext(%j) is %j", (next, path) => expect(safeNext(next)).toBe(path));
