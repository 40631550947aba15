import { expect, it } from "vitest";
import { NodeError } from "../hosts/errors";
import { Links } from "./links";

it("makes no connection once all are closed, and tells of nothing", async () => {
  const told: string[] = [];
  const links = new Links(() => ({ id: "box", kind: "local" }), (node, { state }) => told.push(`${node} ${state}`));
  links.closeAll();
  await expect(links.get("box")).rejects.toThrow(NodeError);
  await expect(links.getUnlessAway("box")).rejects.toThrow("being stopped");
  expect(told).toEqual([]);
});
