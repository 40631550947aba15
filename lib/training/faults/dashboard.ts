/** A dashboard that can be killed: the training service behind a small HTTP server, as a process of its own. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { startService } from "../testing/service";
import { errorAnswer, eventStream } from "../service/http";
import type { TrainingService } from "../service/service";
import { launchRequestSchema } from "../types";

/** Serves a home folder on a free port of loopback; prints its address as a line of JSON. */
export function main(home: string): void {
  const { service } = startService(home);
  const server = createServer((incoming, outgoing) => void serve(service, incoming, outgoing));
  server.listen(0, "127.0.0.1", () => {
    const address = server.address();
    if (typeof address === "object" && address) console.log(JSON.stringify({ url: `http://127.0.0.1:${address.port}` }));
  });
}

/** Answers one request, streaming. */
export async function serve(service: TrainingService, incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
  const gone = new AbortController();
  outgoing.once("close", () => gone.abort());
  const url = new URL(incoming.url ?? "/", "http://localhost");
  const answer = await answerTo(service, url, incoming, gone.signal).catch(errorAnswer);
  outgoing.writeHead(answer.status, Object.fromEntries(answer.headers));
  const reader = answer.body?.getReader();
  try {
    for (let part = await reader?.read(); part && !part.done; part = await reader?.read()) {
      if (!outgoing.write(part.value)) await new Promise((resolve) => outgoing.once("drain", resolve).once("close", resolve));
      if (gone.signal.aborted) break;
    }
  } finally {
    outgoing.end();
    await reader?.cancel();
  }
}

async function answerTo(service: TrainingService, url: URL, incoming: IncomingMessage, signal: AbortSignal): Promise<Response> {
  const [node, run] = [url.searchParams.get("node") ?? "local", url.searchParams.get("run") ?? ""];
  if (url.pathname === "/launch") {
    let text = "";
    for await (const chunk of incoming) text += String(chunk);
    return Response.json(await service.launches.launch(launchRequestSchema.parse(JSON.parse(text))));
  }
  if (url.pathname === "/runs") return Response.json(await service.runs.list());
  if (url.pathname === "/run") return Response.json(await service.runs.summary(node, run));
  if (url.pathname === "/metrics") return Response.json(await service.runs.metrics(node, run, { measures: "loss", kind: "train", points: 20_000 }));
  return eventStream(new Request(url, { signal }), (send) => service.follow.subscribe(run ? { node, run } : null, null, ({ id, data }) => send(data, id)));
}
