"use client";

import { useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef, useState } from "react";
import { bundlesKey } from "@/components/bundles";
import { fetchEventSchema, type FetchEvent } from "@/lib/home/fetch-events";

/** Starts, follows and cancels the server's fetch of a family. */
export function useFetchBase(family: string) {
  const queries = useQueryClient();
  const [event, setEvent] = useState<FetchEvent | null>(null);
  const [running, setRunning] = useState(false);
  const leave = useRef<AbortController | null>(null);
  useEffect(() => () => leave.current?.abort(), []);

  const start = async () => {
    const controller = new AbortController();
    leave.current = controller;
    setRunning(true);
    setEvent(null);
    try {
      await follow(family, controller.signal, setEvent);
    } catch (error) {
      if (controller.signal.aborted) return;
      const message = error instanceof Error ? error.message : String(error);
      setEvent({ type: "error", code: "network", message: `The connection to the server ended: ${message}.`, action: "Check that the server is running, then try again." });
    }
    setRunning(false);
    await queries.invalidateQueries({ queryKey: bundlesKey });
  };

  const cancel = () => void fetch(address(family), { method: "DELETE" });
  return { event, running, start: () => void start(), cancel };
}

const address = (family: string) => `/api/families/${encodeURIComponent(family)}/fetch`;

async function follow(family: string, signal: AbortSignal, tell: (event: FetchEvent) => void): Promise<void> {
  const response = await fetch(address(family), { method: "POST", signal });
  if (!response.ok || !response.body) {
    tell(fetchEventSchema.parse(await response.json()));
    return;
  }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let waiting = "";
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    const lines = (waiting + value).split("\n\n");
    waiting = lines.pop() ?? "";
    for (const line of lines) if (line.startsWith("data: ")) tell(fetchEventSchema.parse(JSON.parse(line.slice(6))));
  }
}
