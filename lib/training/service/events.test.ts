import { expect, it } from "vitest";
import type { TrainingEvent } from "../types";
import { EventHub, type NumberedEvent } from "./events";

const removed = (id: string): TrainingEvent => ({ type: "run-removed", node: "local", id });
const log = (id: string): TrainingEvent => ({ type: "log", node: "local", id, from: 0, to: 1, text: "x" });

function listen(hub: EventHub, interest: { node: string; run: string } | null = null, lastId: string | null = null) {
  const got: NumberedEvent[] = [];
  return { got, leave: hub.subscribe(interest, lastId, (event) => got.push(event)) };
}
const kinds = (got: NumberedEvent[]) => got.map(({ event }) => (event.type === "hello" ? `hello ${event.resumed}` : "id" in event ? `${event.type} ${event.id}` : event.type));

it("tells all what happens to runs, and only those who asked what a run writes", () => {
  const hub = new EventHub();
  const all = listen(hub);
  const one = listen(hub, { node: "local", run: "a" });
  for (const event of [removed("a"), log("a"), log("b")]) hub.publish(event);
  expect(kinds(all.got)).toEqual(["hello false", "run-removed a"]);
  expect(kinds(one.got)).toEqual(["hello false", "run-removed a", "log a"]);
  one.leave();
  hub.publish(removed("c"));
  expect(one.got).toHaveLength(3);
  expect(hub.size).toBe(1);
});

it("a tab that reconnects gets what it missed, once; one of another server's time starts anew", () => {
  const hub = new EventHub();
  const tab = listen(hub);
  hub.publish(removed("a"));
  tab.leave();
  hub.publish(removed("b"));
  const last = tab.got.at(-1)!.id;
  expect(kinds(listen(hub, null, last).got)).toEqual(["hello true", "run-removed b"]);
  expect(kinds(listen(hub, null, tab.got[0]!.id).got)).toEqual(["hello true", "run-removed a", "run-removed b"]);
  expect(kinds(listen(new EventHub(), null, last).got)).toEqual(["hello false"]);
  for (let i = 0; i < 3000; i++) hub.publish(removed("x"));
  expect(kinds(listen(hub, null, last).got)).toEqual(["hello false"]);
});
