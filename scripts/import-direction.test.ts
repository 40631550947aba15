import { RuleTester } from "eslint";
import { describe, it } from "vitest";
import { importDirection } from "./lib/import-direction.mjs";

RuleTester.describe = describe;
RuleTester.it = it;

new RuleTester().run("imports", importDirection("/project"), {
  valid: [
    { filename: "/project/app/chat/page.js", code: 'import "@/components/chat/ChatPage";' },
    { filename: "/project/app/bundles/route.js", code: 'import "@/lib/home/families"; import "node:fs";' },
    { filename: "/project/components/chat/a.js", code: 'import "@/workers/client"; import "@/lib/weights/cache"; import "react";' },
    { filename: "/project/workers/inference.worker.js", code: 'import "@/lib/inference/engine"; import "./protocol";' },
    { filename: "/project/lib/onnx/build.test.js", code: 'import "node:fs";' },
    { filename: "/project/lib/weights/a.js", code: 'import "../hybrid/config"; import "zod";' },
  ],
  invalid: [
    { filename: "/project/lib/hybrid/a.js", code: 'import "@/components/ui/Button";', errors: [{ messageId: "room" }] },
    { filename: "/project/lib/home/a.js", code: 'import "@/lib/inference/engine";', errors: [{ messageId: "room" }] },
    { filename: "/project/lib/inference/a.js", code: 'export * from "../home/paths";', errors: [{ messageId: "room" }] },
    { filename: "/project/app/api/x/route.js", code: 'import "@/lib/inference/engine";', errors: [{ messageId: "room" }] },
    { filename: "/project/workers/a.js", code: 'import "@/lib/onnx/build";', errors: [{ messageId: "room" }] },
    { filename: "/project/components/a.js", code: 'await import("@/app/page");', languageOptions: { ecmaVersion: 2022, sourceType: "module" }, errors: [{ messageId: "room" }] },
    { filename: "/project/lib/onnx/a.js", code: 'import "onnxruntime-web"; import "node:fs"; import "react";', errors: 3 },
  ],
});
