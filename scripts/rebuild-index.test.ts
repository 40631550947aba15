import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { promisify } from "node:util";
import { afterEach, beforeEach, expect, it } from "vitest";
import { openDatabase } from "@/lib/db/connection";
import { listRuns } from "@/lib/db/runs";

const run = promisify(execFile);
let home: string;

beforeEach(() => {
  home = mkdtempSync(path.join(tmpdir(), "mambascope-rebuild-"));
});
afterEach(() => rmSync(home, { recursive: true, force: true }));

it("npm run index:rebuild finds the runs of a home folder whose database is damaged", async () => {
  mkdirSync(path.join(home, "runs", "mine"), { recursive: true });
  writeFileSync(path.join(home, "runs", "mine", "config.json"), JSON.stringify({ name: "Mine", family: "stories", method: "align" }));
  writeFileSync(path.join(home, "runs", "mine", "status.json"), JSON.stringify({ state: "stopped", step: 3, steps: 9 }));
  writeFileSync(path.join(home, "runs", "mine", "notes.json"), JSON.stringify({ notes: "kept", tags: ["good"] }));
  writeFileSync(path.join(home, "mambascope.db"), "damaged ".repeat(1000));
  const { stdout } = await run(process.execPath, [path.join(process.cwd(), "scripts", "rebuild-index.mjs")], { env: { ...process.env, MAMBASCOPE_HOME: home } });
  const shipped = readdirSync(path.join(process.cwd(), "results", "runs")).length;
  expect(stdout).toContain("damaged");
  expect(stdout).toContain("local: 1 run\n");
  expect(stdout).toContain(`shipped: ${shipped} runs\n`);
  const { db } = openDatabase(home);
  expect(listRuns(db, "local")).toMatchObject([{ id: "mine", name: "Mine", state: "stopped", step: 3, notes: "kept", tags: ["good"] }]);
  expect(listRuns(db, "shipped")).toHaveLength(shipped);
  db.close();
});
