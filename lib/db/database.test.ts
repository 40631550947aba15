import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { getBenchmark, listBenchmarks, putBenchmark } from "./benchmarks";
import { deleteConfiguration, listConfigurations, saveConfiguration } from "./configurations";
import { databaseName, databaseOf, openDatabase, type Db } from "./connection";
import { DatabaseError } from "./errors";
import { migrate, migrations, versionOf } from "./migrations";
import { deleteNode, getNode, listNodes, putNode } from "./nodes";
import { nodeRowSchema, runRowSchema, type RunRow } from "./rows";
import { changeRuns, getRun, listRuns, putRun, replaceRuns } from "./runs";
import { getSetting, putSetting } from "./settings";

let home: string;
const opened: Db[] = [];

function open(folder = home) {
  const made = openDatabase(folder);
  opened.push(made.db);
  return made;
}

beforeEach(() => {
  home = mkdtempSync(path.join(tmpdir(), "mambascope-db-"));
});
afterEach(() => {
  for (const db of opened.splice(0)) if (db.open) db.close();
  rmSync(home, { recursive: true, force: true });
});

const number = fc.double({ noNaN: true, noDefaultInfinity: true });
const maybe = <T>(inner: fc.Arbitrary<T>) => fc.option(inner, { nil: null });
const run: fc.Arbitrary<RunRow> = fc.record({
  node: fc.constant("local"),
  id: fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,20}$/),
  name: fc.string(),
  state: fc.constantFrom("queued", "running", "stopped", "finished", "failed", "interrupted"),
  created: number,
  updated: number,
  method: maybe(fc.string()),
  family: maybe(fc.string()),
  pattern: maybe(fc.string()),
  preset: maybe(fc.string()),
  origin: maybe(fc.string()),
  step: maybe(fc.nat()),
  steps: maybe(fc.nat()),
  tokens: maybe(fc.maxSafeNat()),
  lastLoss: maybe(number),
  bestLoss: maybe(number),
  lastKl: maybe(number),
  bestKl: maybe(number),
  notes: fc.string({ unit: "grapheme" }),
  details: fc.dictionary(fc.string().filter((key) => key !== "__proto__"), fc.jsonValue()),
  tags: fc.array(fc.string()),
  measured: maybe(fc.record({ inode: fc.nat(), size: fc.nat(), read: fc.nat() })),
});
// SQLite has one zero, and texts end at a NUL in some of its interfaces.
const plain = (row: RunRow): RunRow => runRowSchema.parse(JSON.parse(JSON.stringify(row).replaceAll("\\u0000", "?").replace(/-0(?=[,}])/g, "0")));

describe("opening", () => {
  it("makes a database with WAL, foreign keys and the nodes that are always there", () => {
    const { db, notice } = open();
    expect(notice).toBeNull();
    expect(versionOf(db)).toBe(migrations.length);
    expect(db.prepare("PRAGMA journal_mode").raw().get()).toEqual(["wal"]);
    expect(db.prepare("PRAGMA foreign_keys").raw().get()).toEqual([1]);
    expect(listNodes(db).map(({ id }) => id)).toEqual(["local", "shipped"]);
  });

  it("keeps what was written", () => {
    const first = open();
    putSetting(first.db, "theme", { dark: true });
    first.db.close();
    expect(getSetting(open().db, "theme", z.object({ dark: z.boolean() }), { dark: false })).toEqual({ dark: true });
  });

  it("refuses a database that a newer program made, and leaves it as it was", () => {
    const { db } = open();
    db.exec("PRAGMA user_version = 999");
    db.close();
    const before = readFileSync(path.join(home, databaseName));
    expect(() => open()).toThrow(expect.objectContaining({ code: "database-newer" }));
    expect(readFileSync(path.join(home, databaseName)).equals(before)).toBe(true);
  });

  it.each([
    ["a file that is no database", () => Buffer.from("not a database at all. ".repeat(500))],
    [
      "a database with pages of garbage",
      () => {
        const { db } = open();
        for (let i = 0; i < 400; i++) putSetting(db, `key-${i}`, "x".repeat(400));
        db.pragma("wal_checkpoint(TRUNCATE)");
        db.close();
        const bytes = readFileSync(path.join(home, databaseName));
        bytes.fill(0xa5, 4096);
        return bytes;
      },
    ],
  ])("sets aside %s and makes a new one", (_name, make) => {
    const damaged = make();
    writeFileSync(path.join(home, databaseName), damaged);
    const { db, notice } = open();
    expect(notice).toContain("damaged");
    expect(listNodes(db)).toHaveLength(2);
    const aside = readdirSync(home).find((name) => name.includes(".damaged-") && !/-(wal|shm)$/.test(name));
    expect(readFileSync(path.join(home, aside ?? "")).equals(damaged)).toBe(true);
    expect(notice).toContain(aside);
  });

  it("says so where the folder cannot be used", () => {
    writeFileSync(path.join(home, "file"), "");
    expect(() => open(path.join(home, "file", "home"))).toThrow(DatabaseError);
  });

  it("gives one connection a process", () => {
    const { db } = databaseOf(home);
    opened.push(db);
    expect(databaseOf(path.join(home, "."))).toBe(databaseOf(home));
  });
});

describe("migrations", () => {
  it("leaves a database at the version before a step that fails", () => {
    const { db } = open();
    const steps = [...migrations, "CREATE TABLE more (x); INSERT INTO nowhere VALUES (1);"];
    expect(() => migrate(db, steps)).toThrow();
    expect(versionOf(db)).toBe(migrations.length);
    expect(db.prepare("SELECT name FROM sqlite_master WHERE name = 'more'").get()).toBeUndefined();
    migrate(db, [...migrations, "CREATE TABLE more (x);"]);
    expect(versionOf(db)).toBe(migrations.length + 1);
  });

  it("lets two programs write the same database", () => {
    const one = open().db;
    const two = open().db;
    putSetting(one, "a", 1);
    putSetting(two, "b", 2);
    expect([getSetting(two, "a", z.number(), 0), getSetting(one, "b", z.number(), 0)]).toEqual([1, 2]);
  });
});

describe("rows", () => {
  it("reads the runs that were written", () => {
    const { db } = open();
    fc.assert(
      fc.property(fc.uniqueArray(run.map(plain), { selector: ({ id }) => id, maxLength: 8 }), (runs) => {
        replaceRuns(db, "local", runs);
        const byId = (a: RunRow, b: RunRow) => (a.id < b.id ? -1 : 1);
        expect(listRuns(db, "local").sort(byId)).toEqual([...runs].sort(byId));
        const newest = listRuns(db).map(({ created }) => created);
        expect(newest).toEqual([...newest].sort((a, b) => b - a));
      }),
      { numRuns: 40 },
    );
  });

  it("changes runs of one node in one go, or not at all", () => {
    const { db } = open();
    const base = runRowSchema.parse({ node: "local", id: "a", name: "A", state: "running", created: 1, updated: 1 });
    putRun(db, base);
    changeRuns(db, "local", [{ ...base, id: "b" }], ["a"]);
    expect(listRuns(db).map(({ id }) => id)).toEqual(["b"]);
    expect(() => changeRuns(db, "local", [{ ...base, id: "c" }, { ...base, id: "d", node: "nowhere" }], ["b"])).toThrow();
    expect(listRuns(db).map(({ id }) => id)).toEqual(["b"]);
    expect(getRun(db, "local", "a")).toBeNull();
  });

  it("forgets an SSH node with its runs and benchmarks, and no other node", () => {
    const { db } = open();
    const node = nodeRowSchema.parse({ id: "box", name: "Box", kind: "ssh", destination: "me@box", created: 5, lastCheck: [{ name: "python" }] });
    putNode(db, node);
    expect(getNode(db, "box")).toEqual(node);
    putRun(db, runRowSchema.parse({ node: "box", id: "a", name: "A", state: "running", created: 1, updated: 1 }));
    const rate = { node: "box", shape: "stories align", tokensPerSecond: 1000, memoryBytes: null, source: "a", measured: 3 };
    putBenchmark(db, rate);
    putBenchmark(db, { ...rate, tokensPerSecond: 2000 });
    expect(getBenchmark(db, "box", "stories align")?.tokensPerSecond).toBe(2000);
    putNode(db, { ...node, name: "Other" });
    expect(listRuns(db, "box")).toHaveLength(1);
    expect(deleteNode(db, "box")).toBe(true);
    expect([listRuns(db, "box"), listBenchmarks(db, "box")]).toEqual([[], []]);
    expect([deleteNode(db, "local"), deleteNode(db, "shipped")]).toEqual([false, false]);
  });

  it("names a row that cannot be used", () => {
    const { db } = open();
    putRun(db, runRowSchema.parse({ node: "local", id: "a", name: "A", state: "running", created: 1, updated: 1 }));
    db.exec("UPDATE runs SET state = 'odd'");
    expect(() => listRuns(db)).toThrow(/table runs.*state/);
  });

  it("keeps configs by name, and settings of the right kind only", () => {
    const { db } = open();
    const first = saveConfiguration(db, "mine", { steps: 5 }, 10);
    const second = saveConfiguration(db, "mine", { steps: 6 }, 20, "better");
    expect(second).toEqual({ ...first, config: { steps: 6 }, note: "better", updated: 20 });
    expect(listConfigurations(db)).toEqual([second]);
    expect([deleteConfiguration(db, first.id), deleteConfiguration(db, first.id)]).toEqual([true, false]);
    putSetting(db, "n", "text");
    expect(getSetting(db, "n", z.number(), 7)).toBe(7);
    putSetting(db, "n", null);
    expect(getSetting(db, "n", z.string(), "none")).toBe("none");
  });
});
