/** Finds a Chromium for the browser tests. */
import { existsSync } from "node:fs";
import { run, SetupError } from "./run.mjs";

const places = [
  process.env.CHROMIUM_PATH,
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/usr/bin/google-chrome-stable",
  "/opt/google/chrome/chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
  "/Applications/Chromium.app/Contents/MacOS/Chromium",
];

/** @returns {string | null} The path of an installed Chromium, or null. */
export function findChromium() {
  return places.find((place) => place && existsSync(place)) ?? null;
}

/** @returns {Promise<string>} The path of a Chromium, installed first if that can be done unasked. Throws SetupError `chromium`. */
export async function ensureChromium() {
  const known = findChromium() ?? (await playwrightsOwn());
  if (known) return known;
  if (process.getuid?.() === 0 && existsSync("/usr/bin/apt-get")) {
    await run("apt-get", ["update", "-qq"]);
    await run("apt-get", ["install", "-y", "-qq", "--no-install-recommends", "chromium"], { env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" } });
  }
  const installed = findChromium();
  if (installed) return installed;
  throw new SetupError(
    "chromium",
    "Chromium was not found, so the browser tests cannot run.",
    "Install it (Debian: apt-get install chromium; elsewhere: npx playwright install chromium), or name it in CHROMIUM_PATH.",
  );
}

async function playwrightsOwn() {
  const { chromium } = await import("@playwright/test");
  const place = chromium.executablePath();
  return existsSync(place) ? place : null;
}
