import { rm } from "node:fs/promises";
import path from "node:path";
import { testHome } from "../playwright.config";
import { copyDraftFixture, type Fault, writeBundle } from "./bundles";
import { borrowEnvironment } from "./trainer-environment";
import { writeRun } from "./training";

const faults: Fault[] = ["damaged", "truncated", "missing", "wrong-checksum", "other-version", "to-fetch"];

/** Fills the home folder of the server under test. */
export default async function setup(): Promise<void> {
  await rm(testHome, { recursive: true, force: true });
  const models = path.join(testHome, "models");
  await writeBundle(models, { family: "tiny", title: "Tiny", seed: 1 });
  await writeBundle(models, { family: "tiny-chat", title: "Tiny chat", seed: 2, chat: true });
  await copyDraftFixture(models, "tiny-drafts");
  for (const [index, fault] of faults.entries()) {
    await writeBundle(models, { family: `tiny-${fault}`, title: `Tiny, ${fault}`, seed: 10 + index, fault });
  }
  await borrowEnvironment(testHome);
  await writeRun(testHome, { id: "with-samples", name: "With samples", lines: 80, samples: true });
  await writeRun(testHome, { id: "to-delete", name: "To delete", lines: 20 });
  await writeRun(testHome, { id: "long-run", name: "Long run", lines: 100_000, state: "finished" });
}
