import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import { expect, it } from "vitest";

/** A run whose process ends, after writing its last status, in the very moment in which it is looked for. */
const script = `
import json, os, sys, tempfile
sys.path.insert(0, sys.argv[1])
from agent import core, runs
with tempfile.TemporaryDirectory() as root:
    core.set_root(root)
    folder = os.path.join(root, "runs", "a-run")
    os.makedirs(folder)
    def write(name, value):
        with open(os.path.join(folder, "part"), "w") as file:
            json.dump(value, file)
        os.replace(os.path.join(folder, "part"), os.path.join(folder, name))
    write("launch.json", {})
    write("status.json", {"state": "running"})
    @core.liveness_probe
    def ends(launches):
        write("status.json", {"state": "stopped", "step": 3})
        return {name: "gone" for name in launches}
    listed = runs.list_runs(core.Call(1, lambda value: None), core.Params({}))["runs"]
    last = os.stat(os.path.join(folder, "status.json"))
    print(json.dumps({"runs": listed, "inode": last.st_ino, "size": last.st_size}))
`;

it("a run that ends while it is looked for is listed with the status that it left", async () => {
  const { stdout } = await promisify(execFile)("python3", ["-c", script, path.resolve("lib/training")]);
  const { runs, inode, size } = JSON.parse(stdout) as { runs: { id: string; alive: string; files: Record<string, object> }[]; inode: number; size: number };
  expect(runs).toMatchObject([{ id: "a-run", alive: "gone", files: { "status.json": { inode, size } } }]);
});
