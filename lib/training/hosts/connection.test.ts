import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { connect, type AgentConnection } from "./connection";

let root = "";
let connection: AgentConnection;

beforeAll(async () => {
  root = await mkdtemp(path.join(tmpdir(), "mambascope-node-"));
  connection = await connect({ id: "local", kind: "local", root });
});

afterAll(async () => {
  connection.close();
  await rm(root, { recursive: true, force: true });
});

it("says hello and answers", async () => {
  expect(connection.hello).toMatchObject({ protocol: 1, root });
  expect(await connection.call("disk")).toMatchObject({ free: expect.any(Number) });
  await expect(connection.call("nonsense")).rejects.toMatchObject({ code: "bad-request" });
});
