/** A node behind a real sshd, and services that know it. */
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { openDatabase } from "@/lib/db/connection";
import { fillRoot } from "../testing/home";
import { startSshd, type TestServer } from "../testing/sshd";
import { TrainingService } from "../service/service";
import type { LinkOptions } from "../hosts/link";

export type Remote = { server: TestServer; root: string; stop: () => Promise<void> };

/** behaviours: as of {@link startSshd}: what the server does for the alias of that name. */
export async function startRemote(behaviours: Record<string, string> = {}): Promise<Remote> {
  const server = await startSshd(behaviours);
  const root = path.join(server.folder, "node");
  await mkdir(root, { recursive: true });
  await fillRoot(root);
  return { server, root, stop: () => server.stop() };
}

/** Soon to notice, soon to try again. */
const links: LinkOptions = { heartbeatMs: 1500, timeoutMs: 15_000, backoffMs: { first: 200, longest: 1000 } };

export type Dashboard = { service: TrainingService; node: string; close: () => Promise<void> };

/** A dashboard of its own home folder that knows the server under one of its aliases. */
export function openRemote(home: string, remote: Remote, alias = "good"): Dashboard {
  const { db } = openDatabase(home);
  const service = new TrainingService({ home, project: process.cwd(), db, links, intervals: { watched: 200, open: 400, idle: 600, away: 1000 } });
  service.start();
  const node = service.nodes.add({ name: alias, kind: "ssh", destination: alias, root: remote.root }).id;
  const close = async () => {
    await service.close();
    db.close();
  };
  return { service, node, close };
}
