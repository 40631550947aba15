import { fileURLToPath } from "node:url";
import { defineConfig } from "vitest/config";

export default defineConfig({
  resolve: { alias: { "@": fileURLToPath(new URL(".", import.meta.url)) } },
  test: { include: ["lib/**/*.test.ts", "components/**/*.test.ts", "workers/**/*.test.ts", "components/**/*.test.ts", "scripts/**/*.test.ts"], testTimeout: 60_000, maxWorkers: "100%" },
});
