/** `node start-dashboard.mjs <home folder>`: runs dashboard.ts without a build. */
import path from "node:path";
import { runnerImport } from "vite";

const root = process.cwd();
const file = path.join(root, "lib", "training", "faults", "dashboard.ts");
const { module } = await runnerImport(file, { configFile: false, root, logLevel: "error", resolve: { alias: { "@": root } } });
/** @type {{ main: (home: string) => void }} */ (module).main(process.argv[2] ?? "");
