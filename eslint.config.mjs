import path from "node:path";
import { fileURLToPath } from "node:url";
import next from "eslint-config-next/core-web-vitals";
import tseslint from "typescript-eslint";
import { importDirection } from "./scripts/lib/import-direction.mjs";

const root = path.dirname(fileURLToPath(import.meta.url));

export default tseslint.config(
  { ignores: [".next/**", "data/**", "public/**", "node_modules/**", "trainer/**", "next-env.d.ts", "test-results/**", "playwright-report/**"] },
  ...next,
  ...tseslint.configs.strict.map((config) => ({ ...config, files: ["**/*.{ts,tsx}"] })),
  {
    files: ["**/*.{ts,tsx}"],
    rules: {
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      eqeqeq: "error",
      // A rule about Next pages that takes every variable of this name for CommonJS.
      "@next/next/no-assign-module-variable": "off",
      "max-lines": ["error", { max: 400, skipBlankLines: true, skipComments: true }],
    },
  },
  {
    // Loops over typed arrays keep their index in bounds; a check an element would cost more than the arithmetic.
    files: ["lib/{weights,onnx,inference,hybrid,evaluation}/**/*.ts", "**/*.test.ts"],
    rules: { "@typescript-eslint/no-non-null-assertion": "off" },
  },
  {
    files: ["{app,components,lib,workers}/**/*.{ts,tsx}", "{proxy,instrumentation}.ts"],
    plugins: { direction: { rules: { imports: importDirection(root) } } },
    rules: { "direction/imports": "error" },
  },
);
