/**
 * The one rule set for the direction of imports: app -> components -> workers -> lib, and inside lib each room's own limits.
 * Tests may import node:* and their room's helpers.
 */
import path from "node:path";

/** @typedef {{ may: string[], packages?: RegExp }} Room `may`: rooms it may import; `packages`: outside modules it may not. */

const browserOrServer = /^(react|react-dom|next|onnxruntime-|node:)/;
const interfaceOnly = /^(react|react-dom|next)(\/|$)/;
const pure = ["lib/hybrid", "lib/weights"];

/** @type {Record<string, Room>} The most specific prefix of a file's path rules. */
const rooms = {
  app: { may: ["app", "components", "lib/auth", "lib/home", "lib/training", "lib/db", ...pure] },
  "proxy.ts": { may: ["lib/auth", "lib/home"] },
  "instrumentation.ts": { may: ["lib/auth"] },
  components: { may: ["components", "workers", "lib"], packages: /^(onnxruntime-|node:)/ },
  workers: { may: ["workers", "lib/inference"], packages: interfaceOnly },
  "lib/hybrid": { may: ["lib/hybrid"], packages: browserOrServer },
  "lib/onnx": { may: ["lib/onnx", ...pure], packages: browserOrServer },
  "lib/evaluation": { may: ["lib/evaluation", "lib/hybrid"], packages: browserOrServer },
  "lib/weights": { may: ["lib/weights", "lib/hybrid"], packages: browserOrServer },
  "lib/inference": { may: ["lib/inference", "lib/onnx", "lib/evaluation", ...pure], packages: /^(react|react-dom|next|node:)/ },
  "lib/home": { may: ["lib/home", ...pure], packages: /^(react|react-dom|next|onnxruntime-)/ },
  "lib/auth": { may: ["lib/auth", "lib/home"], packages: /^(react|react-dom|next|onnxruntime-)/ },
  // Pages and server share it; recipes and schema are the files themselves.
  "lib/training/config": { may: ["lib/training/config", "lib/training/types", "lib/hybrid", "trainer/recipes", "docs/run-config.schema.json"], packages: browserOrServer },
  "lib/training": { may: ["lib/training", "lib/db", "lib/home", ...pure], packages: /^(react|react-dom|next|onnxruntime-)/ },
  "lib/db": { may: ["lib/db"], packages: /^(react|react-dom|next|onnxruntime-)/ },
};

/** @param {string} file Path relative to the project, with forward slashes. */
function roomOf(file) {
  return Object.keys(rooms)
    .filter((prefix) => file === prefix || file.startsWith(`${prefix}/`))
    .sort((a, b) => b.length - a.length)[0];
}

/** @param {string} root The project's folder. @returns {import("eslint").Rule.RuleModule} */
export function importDirection(root) {
  return {
    meta: {
      type: "problem",
      schema: [],
      messages: {
        room: "{{from}} may not import {{to}}: imports point one way, app -> components -> workers -> lib, within each room's limits.",
        package: "{{from}} may not import {{to}}.",
      },
    },
    create(context) {
      const file = path.relative(root, context.filename).split(path.sep).join("/");
      const from = roomOf(file);
      if (!from) return {};
      const isTest = /\.test\.[jt]sx?$|(^|\/)testing(\/|\.ts$)/.test(file);
      const room = rooms[from];

      /** @param {import("estree").Node} node @param {unknown} source */
      const check = (node, source) => {
        if (typeof source !== "string" || !room) return;
        const own = source.startsWith("@/") ? source.slice(2) : source.startsWith(".") ? path.posix.join(path.posix.dirname(file), source) : null;
        if (own === null) {
          if (!isTest && room.packages?.test(source)) context.report({ node, messageId: "package", data: { from, to: source } });
          return;
        }
        if (!room.may.some((prefix) => own === prefix || own.startsWith(`${prefix}/`)) && !isTest) {
          context.report({ node, messageId: "room", data: { from, to: own } });
        }
      };
      return {
        ImportDeclaration: (node) => check(node, node.source.value),
        ExportNamedDeclaration: (node) => check(node, node.source?.value),
        ExportAllDeclaration: (node) => check(node, node.source.value),
        ImportExpression: (node) => check(node, node.source.type === "Literal" ? node.source.value : undefined),
      };
    },
  };
}
