import { tmpdir } from "node:os";
import path from "node:path";
import { defineConfig } from "@playwright/test";
import { findChromium } from "./scripts/lib/chromium.mjs";

const port = Number(process.env.E2E_PORT ?? 3117);
/** The home folder of the server under test; filled by the global setup. */
export const testHome = path.join(tmpdir(), `mambascope-e2e-${port}`);

const executablePath = findChromium() ?? undefined;
// WebGPU on the CPU: slow and correct, which is what tests need.
const swiftShader = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan,WebGPU", "--ignore-gpu-blocklist"];

export default defineConfig({
  testDir: "e2e",
  globalSetup: "./e2e/global-setup.ts",
  outputDir: "test-results",
  timeout: 90_000,
  expect: { timeout: 30_000 },
  workers: 1,
  reporter: "list",
  use: { baseURL: `http://localhost:${port}`, trace: "retain-on-failure", viewport: { width: 1280, height: 800 } },
  projects: [
    { name: "wasm", testIgnore: /webgpu\.spec/, use: { launchOptions: { executablePath, args: ["--no-sandbox"] } } },
    { name: "webgpu", testMatch: /(chat|webgpu)\.spec/, use: { launchOptions: { executablePath, args: ["--no-sandbox", ...swiftShader] } } },
  ],
  webServer: {
    command: `node node_modules/next/dist/bin/next start --hostname 127.0.0.1 --port ${port}`,
    url: `http://127.0.0.1:${port}/bundles`,
    reuseExistingServer: false,
    env: {
      MAMBASCOPE_HOME: testHome,
      NEXT_TELEMETRY_DISABLED: "1",
      // The server under test has no package index: what a set-up without network meets.
      PIP_CONFIG_FILE: "/dev/null",
      PIP_INDEX_URL: "http://127.0.0.1:9/simple",
      PIP_EXTRA_INDEX_URL: "",
      PIP_FIND_LINKS: "",
    },
  },
});
