import { expect, it } from "vitest";
import type { Launcher } from "../types";
import { gpuWarnings } from "./gpu-use";

const on = (gpus: "all" | "none" | number[]): Launcher => ({ kind: "process", gpus });
const shared = (uses: Parameters<typeof gpuWarnings>[0], launcher: Launcher) => gpuWarnings(uses, launcher).map(({ message }) => /uses (.*): both/.exec(message)?.[1]);

it("warns of GPUs that another run has, and of no others", () => {
  expect(shared([{ run: "a", gpus: [0, 1] }, { run: "b", gpus: [3] }], on([1, 2]))).toEqual(["GPU 1"]);
  expect(shared([{ run: "a", gpus: [0, 1] }, { run: "b", gpus: [3] }], on("all"))).toEqual(["GPUs 0, 1", "GPU 3"]);
  expect(shared([{ run: "a", gpus: "all" }], on([2]))).toEqual(["GPU 2"]);
  expect(shared([{ run: "a", gpus: "all" }], on("all"))).toEqual(["all GPUs of this node"]);
  expect(shared([{ run: "a", gpus: "all" }], on("none"))).toEqual([]);
  expect(shared([{ run: "a", gpus: "all" }], { kind: "slurm", nodes: 1, gpusPerNode: 1 })).toEqual([]);
});
