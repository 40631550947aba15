/** Many tabs that read one run's events at once, each over a connection of its own, while lines are written. */
import { createServer, get, type IncomingMessage } from "node:http";
import { startService } from "../testing/service";
import { trainingEventSchema } from "../types";
import { serve } from "./dashboard";
import { secondsSince, until, type Finding } from "./lab";
import { appendSteps, writeRun } from "./written-run";

const LINES = 400;

type Reader = { steps: number[]; hello: boolean; close: () => void };

export async function manyReaders(home: string, count: number): Promise<Finding[]> {
  const id = "read-by-many";
  const folder = await writeRun(home, id, process.pid);
  const { service, close } = startService(home);
  const server = createServer((incoming, outgoing) => void serve(service, incoming, outgoing));
  const port = await new Promise<number>((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      resolve(typeof address === "object" && address ? address.port : 0);
    });
  });
  const readers: Reader[] = [];
  try {
    await until("the run", async () => (await service.runs.list()).some((run) => run.id === id));
    for (let k = 0; k < count; k += 1) readers.push(openReader(`http://127.0.0.1:${port}/events?node=local&run=${id}`));
    await until("all readers", () => readers.every(({ hello }) => hello));
    // The first look of a watcher takes what is there as known.
    await service.follow.look("local");
    for (let step = 1; step <= LINES; step += 20) {
      await appendSteps(folder, step, step + 19);
      await new Promise((resolve) => setTimeout(resolve, 60));
    }
    const start = performance.now();
    await until("the last line at every reader", () => readers.every(({ steps }) => steps.includes(LINES)), 60);
    const behind = secondsSince(start);
    const wanted = Array.from({ length: LINES }, (_, k) => k + 1).join();
    const wrong = readers.filter(({ steps }) => [...steps].sort((a, b) => a - b).join() !== wanted).length;
    return [{ fault: "many_readers", value: wrong === 0 ? 1 : 0, unit: "survived", of: { readers: count, lines: LINES, readers_with_other_lines: wrong, last_line_at_all_after_s: behind } }];
  } finally {
    for (const reader of readers) reader.close();
    server.closeAllConnections();
    server.close();
    await close();
  }
}

function openReader(url: string): Reader {
  const reader: Reader = { steps: [], hello: false, close: () => outgoing.destroy() };
  let rest = "";
  const take = (answer: IncomingMessage) => {
    answer.setEncoding("utf8").on("data", (text: string) => {
      const blocks = (rest + text).split("\n\n");
      rest = blocks.pop() ?? "";
      for (const block of blocks) {
        const data = /^data: (.*)$/m.exec(block)?.[1];
        const event = data === undefined ? null : trainingEventSchema.parse(JSON.parse(data));
        if (event?.type === "hello") reader.hello = true;
        if (event?.type === "metrics") reader.steps.push(...event.rows.map(({ step }) => step));
      }
    });
    answer.on("error", () => undefined);
  };
  const outgoing = get(url, { agent: false }, take);
  outgoing.on("error", () => undefined);
  return reader;
}
